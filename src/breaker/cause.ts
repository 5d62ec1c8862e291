/**
 * Kind of a failure in a few safe words, such as `HTTP 503`, `ECONNREFUSED` or `TimeoutError`: an error's own message
 * may carry anything, a secret included, and is never stored or exported.
 */
export function causeKind(cause: unknown): string | null {
  if (cause === undefined || cause === null) return null;
  const status = (cause as { status?: unknown }).status;
  if (typeof status === "number") return `HTTP ${status}`;
  let deepest: unknown = cause;
  for (let depth = 0; depth < 5 && deepest instanceof Error; depth++) {
    const { code } = deepest as { code?: unknown };
    if (typeof code === "string" && /^[A-Z][A-Z0-9_]{1,40}$/.test(code)) return code;
    if (!(deepest.cause instanceof Error)) break;
    deepest = deepest.cause;
  }
  if (deepest instanceof Error) return /^[A-Za-z]{1,60}$/.test(deepest.name) ? deepest.name : "Error";
  return typeof cause;
}
