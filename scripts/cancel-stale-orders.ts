import { mayBeLive } from "../src/config/alpaca.ts";
import { ConfigError, JobError, UsageError } from "../src/errors.ts";
import type { CancelOutcome, StaleOrder } from "../src/script/cancellation.ts";
import { clockSkew, describeSkew } from "../src/script/clock-skew.ts";
import { parseDuration } from "../src/script/flags.ts";
import { runScript } from "../src/script/run-script.ts";

interface Result {
  readonly dryRun: boolean;
  /** As it was given, such as `2h`. */
  readonly olderThan: string;
  readonly olderThanMs: number;
  readonly openOrders: number;
  readonly orders: readonly StaleOrder[];
}

/** Outcomes after which an order may still be open. */
const NOT_DONE: readonly CancelOutcome[] = ["requested", "still_open", "failed", "unknown", "not_tried"];

await runScript({
  name: "cancel-stale-orders",
  description: "Cancels open orders that are older than a given time. A dry run unless --execute is given.",
  options: {
    "older-than": {
      type: "string",
      placeholder: "2h",
      description: "Age from which an order is stale, such as 90s, 15m, 2h, 1d",
    },
    symbol: {
      type: "string",
      multiple: true,
      placeholder: "AAPL",
      description: "Only orders of this symbol; may be repeated",
    },
    execute: { type: "boolean", description: "Cancel them; a live host needs ALPACA_ALLOW_LIVE=true as well" },
    wait: { type: "string", placeholder: "30s", default: "30s", description: "How long to wait until they are gone" },
  },
  check: (args) => {
    if (args["older-than"] === undefined)
      throw new UsageError("Cannot run cancel-stale-orders: --older-than is needed, such as --older-than 2h");
    if (parseDuration("older-than", args["older-than"]) === 0)
      throw new UsageError("Cannot use --older-than: 0 would mean every order");
    parseDuration("wait", args.wait ?? "30s");
    if (args.symbol?.some((symbol) => !/^[A-Za-z0-9./]{1,24}$/.test(symbol))) {
      throw new UsageError("Cannot use --symbol: expected letters, digits, a dot or a slash, such as AAPL or BTC/USD");
    }
  },
  run: async ({ alpaca, config, args, log, signal, progress, fail }): Promise<Result> => {
    const { cancelOrders, findStale } = await import("../src/script/cancellation.ts");
    const dryRun = args.execute !== true;
    if (!dryRun && mayBeLive(config.alpaca) && !config.alpaca.allowLive) {
      const message =
        "is not true, and this may be a live account; set it to true to change it, or leave out --execute";
      throw new ConfigError([{ variable: "ALPACA_ALLOW_LIVE", message }]);
    }
    const olderThan = args["older-than"] ?? "";
    const olderThanMs = parseDuration("older-than", olderThan);
    progress("asking Alpaca for the time …");
    // Ages are measured on Alpaca's clock: this machine's may be hours off, and what is fresh must stay.
    const sentMs = Date.now();
    const alpacaNowMs = Date.parse((await alpaca.getClock()).timestamp);
    if (Number.isNaN(alpacaNowMs)) {
      throw new JobError("Cannot tell how old orders are: the timestamp of GET /v2/clock is no time");
    }
    const { skewMs, isOff } = clockSkew({ serverMs: alpacaNowMs, sentMs, receivedMs: Date.now() });
    if (isOff) log.warn(`this machine's clock is ${describeSkew(skewMs)} Alpaca's, which is the one that counts here`);
    progress("listing open orders …");
    const symbols = args.symbol?.map((symbol) => symbol.toUpperCase());
    const listed = await alpaca.getOrders({ status: "open", ...(symbols && { symbols }) });
    // A filter that the answer does not keep to must not cost an order of another symbol.
    const open = symbols ? listed.filter(({ symbol }) => symbol && symbols.includes(symbol.toUpperCase())) : listed;
    const stale = findStale(open, alpacaNowMs, olderThanMs);
    const result = { dryRun, olderThan, olderThanMs, openOrders: open.length };
    if (dryRun || stale.length === 0) return { ...result, orders: stale };

    const waitMs = parseDuration("wait", args.wait ?? "30s");
    const { orders, error } = await cancelOrders(alpaca, stale, { waitMs, signal, onProgress: progress });
    const left = orders.filter(({ outcome }) => NOT_DONE.includes(outcome));
    if (left.length > 0) {
      const which = left.map(({ id, outcome, reason }) => {
        const why = reason === null || reason === (error as Error | null)?.message ? "" : `: ${reason}`;
        return `\n  ${id} ${inWords(outcome)}${why}`;
      });
      fail(new JobError(`Cannot cancel ${left.length} of ${orders.length} stale orders:${which.join("")}`));
    }
    if (error !== null) fail(error as Error);
    return { ...result, orders };
  },
  render: ({ dryRun, olderThan, openOrders, orders }: Result, { style, table }) => {
    const all = `${openOrders} open ${openOrders === 1 ? "order" : "orders"}`;
    if (orders.length === 0) return `None of ${all} is older than ${olderThan}.`;
    const colour = (outcome: CancelOutcome) =>
      outcome === "would_cancel" ? "yellow" : NOT_DONE.includes(outcome) ? "red" : "green";
    const rows = orders.map((one) => [
      one.symbol ?? "multi-leg",
      one.side ?? "-",
      one.qty ?? "-",
      one.filledQty ?? "-",
      describeAge(one.ageMs),
      one.status,
      style(colour(one.outcome), inWords(one.outcome)),
      one.id,
    ]);
    const counts = new Map<CancelOutcome, number>();
    for (const { outcome } of orders) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    const summary = dryRun
      ? `Dry run, nothing was changed: ${orders.length} of ${all} would be canceled. Add --execute to cancel.`
      : `${orders.length} of ${all} older than ${olderThan}: ${[...counts].map(([outcome, count]) => `${count} ${inWords(outcome)}`).join(", ")}.`;
    const headings = ["symbol", "side", "qty", "filled", "age", "status", "outcome", "id"];
    return `${table(headings, rows)}\n\n${style("bold", summary)}`;
  },
});

function inWords(outcome: CancelOutcome): string {
  return outcome.replaceAll("_", " ");
}

function describeAge(ageMs: number): string {
  const minutes = Math.floor(ageMs / 60_000);
  if (minutes < 1) return `${Math.floor(ageMs / 1_000)}s`;
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h${minutes % 60}m` : `${Math.floor(hours / 24)}d`;
}
