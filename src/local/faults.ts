/** The two hosts of Alpaca. */
export type SimulatedHost = "trading" | "data";

/** Something that goes wrong with an answer. */
export type Fault =
  /** Answers with an error: HTML for 502, 503 and 504 unless a code or message is given, an envelope for the rest. */
  | { readonly kind: "status"; readonly status: number; readonly code?: number; readonly message?: string }
  /** 429 with a reset so many seconds away (default 30) and, if given, `Retry-After`. */
  | { readonly kind: "throttle"; readonly resetSeconds?: number; readonly retryAfterSeconds?: number }
  /** The usual answer, so many ms late; what was asked for is done at once. */
  | { readonly kind: "delay"; readonly delayMs: number }
  /** Takes the request and never answers. */
  | { readonly kind: "hang" }
  /** Cuts the connection before an answer. */
  | { readonly kind: "reset" }
  /** Cuts the connection in the middle of the usual body; `chunked` sends no Content-Length. */
  | { readonly kind: "truncated"; readonly chunked?: boolean }
  /** 200 with a body that is no JSON: an HTML page, or JSON cut short (as application/json). */
  | { readonly kind: "garbage"; readonly format: "html" | "json" }
  /** Points to the same path of another host, such as `http://127.0.0.1:4000`. Default status 302. */
  | { readonly kind: "redirect"; readonly to: string; readonly status?: 301 | 302 | 303 | 307 | 308 }
  /** Answers as if it were so many ms later: in `Date` and in the market clock. */
  | { readonly kind: "clock"; readonly offsetMs: number }
  /** The usual answer with fields missing or replaced, in every item if it is a list. */
  | { readonly kind: "schema"; readonly omit?: readonly string[]; readonly set?: Readonly<Record<string, unknown>> };

/** Which requests a fault is for, and how often; without any of it, every request until the fault is removed. */
export interface FaultOptions {
  /** How many requests it is for; then they pass. Default: it stands until it is removed. */
  readonly times?: number;
  readonly host?: SimulatedHost;
  readonly method?: string;
  /** The whole path, or what it must match; without the query. */
  readonly path?: string | RegExp;
  /** Whether what was asked for is done although the answer goes wrong. Default false. */
  readonly applied?: boolean;
}

/** A fault that has been set. */
export interface ActiveFault {
  readonly fault: Fault;
  readonly applied: boolean;
}

interface Entry extends ActiveFault {
  readonly options: FaultOptions;
  left: number;
}

/** The faults that are due: counted ones first, oldest first; then the standing one that was set last. */
export class FaultQueue {
  #entries: Entry[] = [];

  /** Sets a fault; the returned function removes it. Throws when a number in it makes no sense. */
  add(fault: Fault, options: FaultOptions = {}): () => void {
    checkFault(fault);
    const { times } = options;
    if (times !== undefined) checkWhole("times", times, 1);
    const entry: Entry = { fault, options, applied: options.applied ?? false, left: times ?? Number.POSITIVE_INFINITY };
    this.#entries.push(entry);
    return () => {
      this.#entries = this.#entries.filter((one) => one !== entry);
    };
  }

  /** The fault for a request, if there is one; it counts as used. */
  take(request: { host: SimulatedHost; method: string; path: string }): ActiveFault | undefined {
    const matching = this.#entries.filter(({ options }) => matches(options, request));
    const entry = matching.find(({ options }) => options.times !== undefined) ?? matching.at(-1);
    if (entry === undefined) return undefined;
    entry.left -= 1;
    if (entry.left === 0) this.#entries = this.#entries.filter((one) => one !== entry);
    return entry;
  }

  clear(): void {
    this.#entries = [];
  }
}

function matches(options: FaultOptions, request: { host: SimulatedHost; method: string; path: string }): boolean {
  const { host, method, path } = options;
  if (host !== undefined && host !== request.host) return false;
  if (method !== undefined && method.toUpperCase() !== request.method) return false;
  if (path === undefined) return true;
  // search() ignores the lastIndex of a global expression.
  return typeof path === "string" ? path === request.path : request.path.search(path) >= 0;
}

/** Throws when a number or URL in a fault makes no sense. */
export function checkFault(fault: Fault): void {
  switch (fault.kind) {
    case "status":
      checkWhole("status", fault.status, 400, 599);
      break;
    case "throttle":
      checkWhole("resetSeconds", fault.resetSeconds ?? 0, 0);
      checkWhole("retryAfterSeconds", fault.retryAfterSeconds ?? 0, 0);
      break;
    case "delay":
      checkWhole("delayMs", fault.delayMs, 0);
      break;
    case "clock":
      checkWhole("offsetMs", fault.offsetMs, Number.MIN_SAFE_INTEGER);
      break;
    case "redirect":
      if (!URL.canParse(fault.to)) throw new TypeError(`Cannot set fault: ${fault.to} is not an absolute URL`);
      break;
    case "hang":
    case "reset":
    case "truncated":
    case "garbage":
    case "schema":
      break;
    default:
      throw new TypeError(`Cannot set fault: unknown kind ${String((fault as { kind: unknown }).kind)}`);
  }
}

function checkWhole(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(`Cannot set fault: ${name} must be a whole number from ${least} to ${most}, not ${value}`);
}
