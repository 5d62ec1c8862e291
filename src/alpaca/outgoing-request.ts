import type { SpanReference } from "../breaker/state.ts";
import { urlTemplate } from "./route.ts";

/** Methods that change nothing, and may be sent again. */
export const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

type Input = Parameters<typeof fetch>[0];

/** A request as it goes out, again and again. */
export class OutgoingRequest {
  readonly method: string;
  readonly url: URL;
  readonly signal: AbortSignal | undefined;
  /** Span of the attempt under way, so that a state change can be linked to it. */
  span: SpanReference | undefined;
  readonly #input: Input;
  readonly #init: RequestInit | undefined;
  readonly #headers: HeadersInit;
  readonly #body: unknown;
  readonly #isSpent: boolean;

  /** @param headers in place of those that `input` and `init` have. */
  constructor(input: Input, init: RequestInit | undefined, url: URL, headers: HeadersInit) {
    this.method = methodOf(input, init);
    this.url = url;
    // A null in `init` takes the Request's own signal away, as in fetch.
    const inherited = input instanceof Request ? input.signal : undefined;
    this.signal = init?.signal === undefined ? inherited : (init.signal ?? undefined);
    this.span = undefined;
    this.#input = input;
    this.#init = init;
    this.#headers = headers;
    const body = init?.body ?? (input instanceof Request ? input.body : null);
    this.#body = body;
    this.#isSpent = body instanceof ReadableStream && (body.locked || (input instanceof Request && input.bodyUsed));
  }

  /** `GET /v2/orders/{order_id}`, for errors. */
  get call(): string {
    return describeCall(this.method, this.url);
  }

  send(fetch: typeof globalThis.fetch, signal: AbortSignal): Promise<Response> {
    return fetch(this.#input, this.#build(signal));
  }

  /** Throws when the request itself cannot be sent, whatever the network. */
  validate(): void {
    if (this.#isSpent) throw new TypeError("the body was read before");
    // By now the body has been read: an empty one of its kind stands in for it.
    const ofItsKind = this.#init?.body instanceof ReadableStream ? new ReadableStream() : "";
    const body = this.#body === null ? null : ofItsKind;
    void new Request(this.url, { ...this.#build(null), method: this.method, body });
  }

  #build(signal: AbortSignal | null): RequestInit {
    const once = SAFE_METHODS.has(this.method) ? undefined : unrepeated();
    return { ...once, ...this.#init, headers: this.#headers, redirect: "manual", signal };
  }
}

/** The method of a call as `fetch` would take it, in capitals. */
export function methodOf(input: Input, init: RequestInit | undefined): string {
  return (init?.method ?? (input instanceof Request ? input.method : "GET")).toUpperCase();
}

/** A call in words, without what is secret or endless in its URL. */
export function describeCall(method: string, url: URL): string {
  return `${method} ${urlTemplate(url.pathname)}`;
}

interface DenoHttp {
  createHttpClient?: (options: { poolMaxIdlePerHost: number }) => unknown;
}

let once: object | undefined;

/**
 * What to add to a request's `init` so that the runtime itself never sends it twice. Deno repeats any request, a POST
 * included, when a connection that has been used before is cut without an answer; a connection of its own spares it
 * that (https://github.com/denoland/deno/issues/35610; measured on 2.9.6). Node sends once, and nothing is added.
 */
function unrepeated(): object {
  if (!once) {
    const { createHttpClient } = (globalThis as { Deno?: DenoHttp }).Deno ?? {};
    once = createHttpClient ? { client: createHttpClient({ poolMaxIdlePerHost: 0 }) } : {};
  }
  return once;
}
