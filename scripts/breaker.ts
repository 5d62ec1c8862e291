import { hostname, userInfo } from "node:os";
import { remainingMs, stateAt } from "../src/breaker/state.ts";
import { JobError, UsageError } from "../src/errors.ts";
import { parseDuration } from "../src/script/flags.ts";
import { runScript, type ScriptContext } from "../src/script/run-script.ts";
import type { HistoryEntry, Store, StoredBreaker } from "../src/store/store.ts";

const COMMANDS = ["list", "show", "history", "isolate", "release", "reset", "watch"] as const;
type Command = (typeof COMMANDS)[number];
const NEEDS_NAME: readonly Command[] = ["show", "isolate", "release", "reset"];

const WATCH_EVERY_MS = 500;

const OPTIONS = {
  since: {
    type: "string",
    placeholder: "24h",
    description: "With history: only state changes since then; all without it",
  },
  reason: {
    type: "string",
    placeholder: "WORDS",
    description: "With isolate, and needed there: why, for whoever meets it",
  },
  by: { type: "string", placeholder: "NAME", description: "Who acts; your user and machine without it" },
} as const;

interface Row {
  readonly name: string;
  readonly host: string;
  readonly state: string;
  readonly timeUntilRecoveryMs: number | null;
  readonly failures: number;
  readonly lastOpenedAt: Date | null;
  readonly cause: string | null;
  readonly hold: { readonly by: string; readonly reason: string; readonly at: Date } | null;
}

await runScript({
  name: "breaker",
  description: `Shows stored circuit breakers and their history, and holds, releases or resets one.
Commands: list, show NAME, history [NAME], isolate NAME --reason WORDS, release NAME, reset NAME, watch`,
  positionals: "<command> [name]",
  alpaca: "optional",
  options: OPTIONS,
  check: ({ positionals: [command, name, ...rest], since, reason, by }) => {
    if (!isCommand(command))
      throw new UsageError(`Cannot run breaker: expected a command, one of ${COMMANDS.join(", ")}`);
    if (rest.length > 0 || (name !== undefined && ["list", "watch"].includes(command))) {
      throw new UsageError(`Cannot run breaker ${command}: there are words too many; see npm run breaker -- --help`);
    }
    if (NEEDS_NAME.includes(command) && name === undefined) {
      throw new UsageError(`Cannot run breaker ${command}: a name is needed, such as alpaca.trading`);
    }
    if (command === "isolate" && !reason?.trim()) {
      throw new UsageError("Cannot run breaker isolate: --reason is needed, and is shown to whoever is rejected");
    }
    if (by !== undefined && !by.trim())
      throw new UsageError("Cannot use --by: it is empty; leave it out to be named by user and machine");
    if (/\p{Cc}/u.test(`${name ?? ""}${reason ?? ""}${by ?? ""}`)) {
      throw new UsageError(
        `Cannot run breaker ${command}: a name or a reason has control characters, others read it in a terminal`,
      );
    }
    if (since !== undefined) parseDuration("since", since);
  },
  run: async (context) => {
    const { store, args, breakers } = context;
    const [command = "list", name = ""] = args.positionals;
    if (store === null)
      throw new JobError("Cannot look at stored breakers: the store cannot be used, see the warning above");
    if (command === "watch") return watch(context, store);
    if (command === "history") {
      const sinceMs = args.since === undefined ? 0 : store.now() - parseDuration("since", args.since);
      const entries = await store.history({ sinceMs, ...(args.positionals[1] !== undefined && { name }) });
      return entries.map(describeEntry);
    }
    if (command === "list") return (await store.breakers()).map((breaker) => describe(breaker, store.now()));
    const configured = [breakers.trading, breakers.data].find((one) => one.name === name);
    if (command === "show") {
      const found = (await store.breakers()).filter((breaker) => breaker.name === name);
      if (found.length === 0)
        throw new JobError(`Cannot show circuit "${name}": nothing is stored of it; see npm run breaker -- list`);
      return found.map((breaker) => describe(breaker, store.now()));
    }
    if (configured === undefined) {
      throw new JobError(
        `Cannot ${command} circuit "${name}": it is none of ${breakers.trading.name}, ${breakers.data.name}`,
      );
    }
    const by = args.by ?? whoami();
    const before = configured.state;
    if (command === "isolate") await configured.isolate(args.reason ?? "", by);
    else if (command === "release") await configured.release(by);
    else await configured.reset(by);
    const { state } = configured;
    context.log.info(
      before === state
        ? `circuit "${name}" is ${state}, as before`
        : `circuit "${name}" went from ${before} to ${state}`,
    );
    const changed = (await store.breakers()).filter((breaker) => breaker.name === name);
    return changed.map((breaker) => describe(breaker, store.now()));
  },
  render: (rows: readonly (Row | ReturnType<typeof describeEntry>)[] | undefined, { table, style }) => {
    if (rows === undefined) return "";
    if (rows.length === 0) return "Nothing to show: nothing is stored, or nothing of what was asked for.";
    if (rows.every((row) => "eventId" in row)) {
      return table(
        ["at", "circuit", "host", "change", "reason", "by", "delivered"],
        rows.map((row) => [
          row.at.toISOString(),
          row.breaker,
          row.host,
          `${row.from} → ${row.to}`,
          row.operator ? `${row.reason}: ${row.operator.reason}` : [row.reason, row.cause].filter(Boolean).join(": "),
          row.operator?.by ?? row.script,
          row.delivered ? "yes" : "not yet",
        ]),
      );
    }
    return table(
      ["circuit", "host", "state", "recovery in", "failures", "last opened", "why"],
      (rows as readonly Row[]).map((row) => line(row, style)),
    );
  },
});

function line(row: Row, style: (format: "green" | "red" | "yellow", text: string) => string): string[] {
  const colour = row.state === "closed" ? "green" : row.state === "half_open" ? "yellow" : "red";
  return [
    row.name,
    row.host,
    style(colour, row.state),
    row.timeUntilRecoveryMs ? `${Math.ceil(row.timeUntilRecoveryMs / 1_000)}s` : "-",
    String(row.failures),
    row.lastOpenedAt?.toISOString() ?? "never",
    row.hold ? `${row.hold.reason} (${row.hold.by}, ${row.hold.at.toISOString()})` : (row.cause ?? ""),
  ];
}

function describe({ name, host, record }: StoredBreaker, nowMs: number): Row {
  const { automatic, hold, lastOpenedAtMs } = record;
  return {
    name,
    host,
    state: stateAt(record, nowMs),
    timeUntilRecoveryMs: remainingMs(record, nowMs),
    failures: automatic.state === "closed" ? automatic.failures : 0,
    lastOpenedAt: lastOpenedAtMs === null ? null : new Date(lastOpenedAtMs),
    cause: automatic.state === "closed" ? null : automatic.cause,
    hold: hold ? { by: hold.by, reason: hold.reason, at: new Date(hold.atMs) } : null,
  };
}

function describeEntry({ undelivered, parentSpanId: _, call: __, serverAddress: ___, ...entry }: HistoryEntry) {
  return { ...entry, delivered: undelivered.length === 0 };
}

/** Prints every change of state until it is interrupted: on a terminal for a person, with --json one document at the end. */
async function watch(
  { log, signal, args }: ScriptContext<typeof OPTIONS>,
  store: Store,
): Promise<readonly unknown[] | undefined> {
  const { sleep } = await import("../src/alpaca/sleep.ts");
  const seen = new Set<string>();
  const entries: HistoryEntry[] = [];
  const sinceMs = store.now();
  for (const { name, host, record } of await store.breakers())
    log.info(`${name} on ${host} is ${stateAt(record, store.now())}`);
  log.info("watching for state changes, Ctrl-C ends it");
  while (!signal.aborted) {
    for (const entry of await store.history({ sinceMs })) {
      if (seen.has(entry.eventId)) continue;
      seen.add(entry.eventId);
      entries.push(entry);
      const { at, breaker, from, to, reason, script } = entry;
      log.info(`${at.toISOString()}  ${breaker}  ${from} → ${to}  ${reason}  by ${script}`);
    }
    await sleep(WATCH_EVERY_MS, signal).catch(() => {});
  }
  return args.json ? entries.map(describeEntry) : undefined;
}

function isCommand(text: string | undefined): text is Command {
  return COMMANDS.includes(text as Command);
}

function whoami(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    return "an operator";
  }
}
