import type { BreakerCell } from "../breaker/cell.ts";
import { CircuitBreaker } from "../breaker/circuit-breaker.ts";
import type { SpanReference } from "../breaker/state.ts";
import type { Config } from "../config/config.ts";
import { MemoryBudget, type RequestBudget } from "../store/budget.ts";

/** A probe's lease outlasts its request by this much, so that it does not lapse while the answer is being read. */
const LEASE_MARGIN_MS = 5_000;

/** One host of Alpaca's: what guards it, and how much may be asked of it. */
export interface AlpacaHost {
  readonly origin: string;
  readonly breaker: CircuitBreaker;
  readonly budget: RequestBudget;
}

/** Both hosts; they are the same one when both URLs have the same origin. */
export interface AlpacaHosts {
  readonly trading: AlpacaHost;
  readonly data: AlpacaHost;
}

/** What can be given in place of state in memory, and of the real clock. */
export interface AlpacaHostsOptions {
  readonly config: Config;
  readonly now?: () => number;
  /** Names the span of a state change. */
  readonly newSpan?: () => SpanReference;
  /** Where the budget of that host is kept. */
  readonly budget?: (host: string) => RequestBudget;
  /** Where the breaker of that name for that host, with its port, keeps its state. */
  readonly cell?: (name: string, host: string) => BreakerCell;
}

/** Makes the breaker and the budget of each host: a data outage never blocks trading. */
export function createAlpacaHosts({ config, now, newSpan, cell, budget }: AlpacaHostsOptions): AlpacaHosts {
  const make = (name: string, url: string): AlpacaHost => {
    const { origin, host, hostname } = new URL(url);
    const breaker = new CircuitBreaker({
      ...config.alpaca.breaker,
      name,
      serverAddress: hostname,
      probeLeaseMs: config.alpaca.timeoutMs + LEASE_MARGIN_MS,
      ...(now && { now }),
      ...(newSpan && { newSpan }),
      ...(cell && { cell: cell(name, host) }),
    });
    return { origin, breaker, budget: budget?.(host) ?? new MemoryBudget(config.alpaca.requestsPerMinute, now) };
  };
  const trading = make("alpaca.trading", config.alpaca.baseUrl);
  const isOneHost = new URL(config.alpaca.dataUrl).origin === trading.origin;
  return { trading, data: isOneHost ? trading : make("alpaca.data", config.alpaca.dataUrl) };
}
