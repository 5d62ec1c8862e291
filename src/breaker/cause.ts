import { BreakwaterError, CircuitBreakerOpenError, EXIT } from "../errors.ts";

/** How Deno's fetch words, in the cause of its TypeError, what has a code on Node. */
const FETCH_FAILURES: readonly (readonly [RegExp, string])[] = [
  [/connection refused/i, "ECONNREFUSED"],
  [/dns error|failed to lookup/i, "ENOTFOUND"],
  [/connection reset|connection closed|connection error|unexpected eof|end of file|incomplete/i, "ECONNRESET"],
  [/certificate|tls/i, "ERR_TLS"],
  [/timed out/i, "ETIMEDOUT"],
];

/**
 * Kind of a failure in a few safe words, such as `HTTP 503`, `ECONNREFUSED` or `TimeoutError`: an error's own message
 * may carry anything, a secret included, and is never stored or exported.
 */
export function causeKind(cause: unknown): string | null {
  if (cause === undefined || cause === null) return null;
  const status = (cause as { status?: unknown }).status;
  if (typeof status === "number") return `HTTP ${status}`;
  let deepest: unknown = cause;
  let isOfFetch = false;
  for (let depth = 0; depth < 5 && deepest instanceof Error; depth++) {
    isOfFetch ||= deepest instanceof TypeError;
    const { code } = deepest as { code?: unknown };
    if (typeof code === "string" && /^[A-Z][A-Z0-9_]{1,40}$/.test(code)) return code;
    if (!(deepest.cause instanceof Error)) break;
    deepest = deepest.cause;
  }
  if (isOfFetch) {
    const known = FETCH_FAILURES.find(([words]) => words.test((deepest as Error).message));
    if (known) return known[1];
  }
  if (deepest instanceof Error) return /^[A-Za-z]{1,60}$/.test(deepest.name) ? deepest.name : "Error";
  return typeof cause;
}

/** What an error thrown by a call means to a breaker that was not told otherwise. */
export function classifyError(error: unknown): "success" | "failure" | "ignored" {
  if (error instanceof CircuitBreakerOpenError || (error instanceof Error && error.name === "AbortError"))
    return "ignored";
  // What Alpaca's client throws has been judged already: only an outage is one.
  if (error instanceof BreakwaterError && error.exitCode !== EXIT.unavailable) {
    return error.exitCode === EXIT.throttled ? "ignored" : "success";
  }
  return "failure";
}
