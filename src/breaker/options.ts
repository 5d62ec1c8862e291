import type { BreakerCell } from "./cell.ts";
import type { SpanReference } from "./state.ts";

/** What a new CircuitBreaker may be told; everything but the name has a default. */
export interface CircuitBreakerOptions {
  /** Name in errors, metrics and stored state, such as `alpaca.trading`. */
  readonly name: string;
  /** Consecutive failures that open the circuit; 5. */
  readonly failureThreshold?: number;
  /** A failure older than this no longer counts as consecutive; 7 200 000 ms. */
  readonly failureWindowMs?: number;
  /**
   * Given, the circuit opens when at least this share (above 0, below 1) of the last `windowMs`' calls failed, and
   * there were `minimumCalls`; consecutive failures then do not matter. The window is this instance's own.
   */
  readonly failureRatio?: number | null;
  /** 60 000 ms. */
  readonly windowMs?: number;
  /** 20. */
  readonly minimumCalls?: number;
  /** First cooldown; 60 000 ms. Each failed probe doubles it. */
  readonly recoveryTimeoutMs?: number;
  /** Longest cooldown; 900 000 ms, or `recoveryTimeoutMs` if that is longer. */
  readonly maxRecoveryTimeoutMs?: number;
  /** Consecutive successful probes that close the circuit, one at a time; 1. */
  readonly halfOpenProbes?: number;
  /** A probe that has not ended after this is given to another caller; 30 000 ms. Longer than the call's own timeout. */
  readonly probeLeaseMs?: number;
  /** Host that the breaker guards, as `server.address` in metrics. */
  readonly serverAddress?: string;
  /** What an error thrown by a call means; by default a failure, unless the call was cancelled or rejected. */
  readonly classifyError?: (error: unknown) => "success" | "failure" | "ignored";
  /** Names the span of a state change, before it is stored. */
  readonly newSpan?: () => SpanReference;
  /** Where state is kept; by default in memory, for as long as the process lives. */
  readonly cell?: BreakerCell;
  /** Clock of the state in memory, in ms since the Unix epoch; Date.now. */
  readonly now?: () => number;
}

type Required = {
  [Key in Exclude<
    keyof CircuitBreakerOptions,
    "name" | "failureRatio" | "serverAddress" | "classifyError" | "newSpan" | "cell" | "now"
  >]-?: number;
} & { readonly failureRatio: number | null };

/** Fills in the defaults. @throws {RangeError} for a number that no breaker can work with. */
export function withDefaults(options: CircuitBreakerOptions): Required {
  if (typeof options.name !== "string" || options.name === "") {
    throw new TypeError("Cannot make a circuit breaker without a name, such as alpaca.trading");
  }
  const count = (key: "failureThreshold" | "minimumCalls" | "halfOpenProbes", preset: number) => {
    const value = options[key] ?? preset;
    if (Number.isSafeInteger(value) && value >= 1) return value;
    throw new RangeError(
      `Cannot make circuit breaker "${options.name}": ${key} is ${value}, expected a whole number from 1`,
    );
  };
  const duration = (
    key: "failureWindowMs" | "windowMs" | "recoveryTimeoutMs" | "maxRecoveryTimeoutMs" | "probeLeaseMs",
    preset: number,
    bound: "from" | "above" = "above",
  ) => {
    const value = options[key] ?? preset;
    if (Number.isFinite(value) && (value > 0 || (value === 0 && bound === "from"))) return value;
    throw new RangeError(`Cannot make circuit breaker "${options.name}": ${key} is ${value}, expected ms ${bound} 0`);
  };
  const { failureRatio = null } = options;
  if (failureRatio !== null && !(failureRatio > 0 && failureRatio < 1)) {
    throw new RangeError(
      `Cannot make circuit breaker "${options.name}": failureRatio is ${failureRatio}, expected a number above 0 and below 1`,
    );
  }
  const recoveryTimeoutMs = duration("recoveryTimeoutMs", 60_000, "from");
  return {
    failureThreshold: count("failureThreshold", 5),
    failureWindowMs: duration("failureWindowMs", 7_200_000),
    failureRatio,
    windowMs: duration("windowMs", 60_000),
    minimumCalls: count("minimumCalls", 20),
    recoveryTimeoutMs,
    maxRecoveryTimeoutMs: Math.max(recoveryTimeoutMs, duration("maxRecoveryTimeoutMs", 900_000, "from")),
    halfOpenProbes: count("halfOpenProbes", 1),
    probeLeaseMs: duration("probeLeaseMs", 30_000),
  };
}
