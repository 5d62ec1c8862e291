import { mayBeLive } from "../src/config/alpaca.ts";
import { ConfigError, JobError, UsageError } from "../src/errors.ts";
import type { StaleOrder } from "../src/script/cancellation.ts";
import { parseDuration } from "../src/script/flags.ts";
import { runScript } from "../src/script/run-script.ts";

interface Result {
  readonly dryRun: boolean;
  readonly olderThanMs: number;
  readonly openOrders: number;
  readonly orders: readonly StaleOrder[];
}

/** Skew of the local clock that is worth a warning; ages are measured on Alpaca's clock all the same. */
const MOST_SKEW_MS = 5_000;

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
    const olderThanMs = parseDuration("older-than", args["older-than"] ?? "");
    progress("asking Alpaca for the time …");
    const alpacaNowMs = Date.parse((await alpaca.getClock()).timestamp);
    if (Number.isNaN(alpacaNowMs)) throw new JobError("Cannot tell how old orders are: Alpaca's time cannot be read");
    const skewMs = Date.now() - alpacaNowMs;
    if (Math.abs(skewMs) > MOST_SKEW_MS) {
      log.warn(`this machine's clock is ${Math.round(skewMs / 1_000)} s off Alpaca's, which is the one that counts`);
    }
    progress("listing open orders …");
    const symbols = args.symbol?.map((symbol) => symbol.toUpperCase());
    const open = await alpaca.getOrders({ status: "open", ...(symbols && { symbols }) });
    const stale = findStale(open, alpacaNowMs, olderThanMs);
    const result = { dryRun, olderThanMs, openOrders: open.length };
    if (dryRun || stale.length === 0) return { ...result, orders: stale };

    const waitMs = parseDuration("wait", args.wait ?? "30s");
    const { orders, error } = await cancelOrders(alpaca, stale, { waitMs, signal, onProgress: progress });
    const left = orders.filter(({ outcome }) => ["requested", "still_open", "failed", "not_tried"].includes(outcome));
    if (left.length > 0) {
      const which = left.map(
        ({ id, outcome, reason }) => `\n  ${id} ${outcome.replace("_", " ")}${reason ? `: ${reason}` : ""}`,
      );
      fail(new JobError(`Cannot cancel ${left.length} of ${orders.length} stale orders:${which.join("")}`));
    }
    if (error !== null) fail(error as Error);
    return { ...result, orders };
  },
  render: ({ dryRun, openOrders, orders }: Result, { style, table }) => {
    if (orders.length === 0) return `None of ${openOrders} open orders is that old.`;
    const rows = orders.map((one) => [
      one.symbol ?? "multi-leg",
      one.side ?? "-",
      one.qty ?? "-",
      describeAge(one.ageMs),
      one.status,
      one.outcome.replace("_", " "),
      one.id,
    ]);
    const next = dryRun
      ? `Dry run, nothing was changed: ${orders.length} of ${openOrders} open orders are stale; --execute cancels them.`
      : "";
    return [
      table(["symbol", "side", "qty", "age", "status", "outcome", "id"], rows),
      next && `\n${style("bold", next)}`,
    ]
      .filter(Boolean)
      .join("\n");
  },
});

function describeAge(ageMs: number): string {
  const minutes = Math.floor(ageMs / 60_000);
  if (minutes < 1) return `${Math.floor(ageMs / 1_000)}s`;
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h${minutes % 60}m` : `${Math.floor(hours / 24)}d`;
}
