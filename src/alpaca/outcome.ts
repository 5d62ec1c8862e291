/** What an attempt means to the breaker; a throttle is its own thing, and neither an outage nor a success. */
export type AttemptOutcome = "success" | "failure" | "throttled";

/**
 * What an answer means to the breaker: the one place where this is decided.
 *
 * @param hasGoodBody false when the body is not JSON where JSON is due.
 */
export function classifyResponse(status: number, hasGoodBody: boolean): AttemptOutcome {
  if (status === 429) return "throttled";
  if (status >= 500 || status === 408) return "failure";
  return hasGoodBody ? "success" : "failure";
}

/**
 * Whether an answer of Alpaca must be JSON: a 2xx that may have a body, apart from the pictures of the logo service.
 * Some changes, such as the exercise of an option, are answered by a 200 without a body; a question never is.
 */
export function isJsonDue(method: string, status: number, pathname: string, isEmpty: boolean): boolean {
  if (status < 200 || status > 299 || status === 204 || status === 205 || method === "HEAD") return false;
  if (isEmpty && method !== "GET") return false;
  return !pathname.includes("/logos/");
}

/**
 * How long a 429 asks to wait, in ms. `X-RateLimit-Reset` (Unix seconds) is compared with the answer's own `Date`, so
 * that this machine's clock does not matter; `Retry-After` is not documented by Alpaca but is honoured by its SDKs.
 * The later of the two counts; null when neither is there.
 */
export function throttleMs(headers: Headers, nowMs: number): number | null {
  const waits: number[] = [];
  const reset = headers.get("x-ratelimit-reset");
  if (reset !== null && /^\d{9,11}(?:\.\d+)?$/.test(reset.trim())) {
    waits.push(Number(reset) * 1_000 - serverNowMs(headers, nowMs));
  }
  const afterMs = retryAfterMs(headers, nowMs);
  if (afterMs !== null) waits.push(afterMs);
  return waits.length === 0 ? null : Math.max(0, ...waits);
}

/** What `Retry-After` asks for, in ms, be it seconds or a date; null when it is missing or neither. */
export function retryAfterMs(headers: Headers, nowMs: number): number | null {
  const after = headers.get("retry-after")?.trim() ?? "";
  if (/^\d{1,9}$/.test(after)) return Number(after) * 1_000;
  // Date.parse alone takes 1.5 for a day in 2001.
  const atMs = /^[a-z]{3}/i.test(after) ? Date.parse(after) : Number.NaN;
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - serverNowMs(headers, nowMs));
}

function serverNowMs(headers: Headers, nowMs: number): number {
  const dateMs = Date.parse(headers.get("date") ?? "");
  return Number.isNaN(dateMs) ? nowMs : dateMs;
}
