/** A response whose whole body has arrived. */
export interface BufferedResponse {
  readonly response: Response;
  readonly isEmpty: boolean;
  /** Whether the body parses as JSON; false for an empty one. */
  isJson(): boolean;
}

const NOTHING = new ArrayBuffer(0);
const DECODER = new TextDecoder();

/**
 * Reads the body now, so that a truncated one fails here and not in the caller's hands, and answers the response's own
 * methods from the buffer. In place: to wrap it in a new Response costs more than all the rest, and loses `url`.
 *
 * @throws what reading the body throws.
 */
export async function bufferBody(response: Response): Promise<BufferedResponse> {
  if (response.body === null) return { response, isEmpty: true, isJson: () => false };
  const body = attach(response, await response.arrayBuffer());
  return { response, isEmpty: body.bytes.byteLength === 0, isJson: () => body.parse() !== null };
}

/** A body that is there, and what was read of it. */
class Buffered {
  bytes: ArrayBuffer;
  readonly #headers: Headers;
  #text: string | undefined;
  #parsed: { value: unknown } | null | undefined;
  #isUsed = false;
  /** The one whose stream the caller has, if it asked for it: what is read there is read here. */
  #streamed: Response | undefined;

  constructor(bytes: ArrayBuffer, headers: Headers) {
    this.bytes = bytes;
    this.#headers = headers;
  }

  get isUsed(): boolean {
    return this.#isUsed || (this.#streamed?.bodyUsed ?? false);
  }

  get isSpent(): boolean {
    return this.isUsed || this.#streamed?.body?.locked === true;
  }

  get stream(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    if (!this.#streamed) {
      // Of a stream, Deno knows whether it was read; of bytes it does not.
      this.#streamed = new Response(new Blob([this.bytes]).stream(), { headers: this.#headers });
      if (this.#isUsed) void this.#streamed.arrayBuffer();
    }
    return this.#streamed.body;
  }

  async use<T>(read: () => T): Promise<Awaited<T>> {
    if (this.isSpent) throw new TypeError("Body is unusable: Body has already been read");
    this.#isUsed = true;
    void this.#streamed?.arrayBuffer();
    const result = await read();
    // The response may outlive its reading by far, and needs these no more.
    this.bytes = NOTHING;
    this.#text = undefined;
    this.#parsed = undefined;
    return result;
  }

  decode(): string {
    this.#text ??= DECODER.decode(this.bytes);
    return this.#text;
  }

  parse(): { value: unknown } | null {
    if (this.#parsed === undefined) {
      try {
        this.#parsed = { value: JSON.parse(this.decode()) };
      } catch {
        this.#parsed = null;
      }
    }
    return this.#parsed;
  }

  /** The rare ways to read a body go to a fresh Response. */
  copy(): Response {
    return new Response(this.bytes, { headers: this.#headers });
  }
}

const BODY = Symbol("buffered body");

type WithBody = Response & { readonly [BODY]: Buffered };

const method = (value: (this: WithBody) => unknown) => ({ value, configurable: true, writable: true });

// A prototype in between: to define the same members on every response costs more than to read it.
const PROTOTYPE = Object.create(Response.prototype, {
  json: method(function () {
    return this[BODY].use(() => (this[BODY].parse() ?? { value: JSON.parse(this[BODY].decode()) }).value);
  }),
  text: method(function () {
    return this[BODY].use(() => this[BODY].decode());
  }),
  arrayBuffer: method(function () {
    return this[BODY].use(() => this[BODY].bytes);
  }),
  bytes: method(function () {
    return this[BODY].use(() => new Uint8Array(this[BODY].bytes));
  }),
  blob: method(function () {
    return this[BODY].use(() => this[BODY].copy().blob());
  }),
  formData: method(function () {
    return this[BODY].use(() => this[BODY].copy().formData());
  }),
  clone: method(function () {
    if (this[BODY].isSpent) throw new TypeError("Response.clone: Body has already been consumed");
    const { status, statusText, headers, url } = this;
    const twin = new Response(this[BODY].bytes, { status, statusText, headers });
    attach(twin, this[BODY].bytes.slice(0));
    return Object.defineProperty(twin, "url", { value: url });
  }),
  bodyUsed: {
    get(this: WithBody) {
      return this[BODY].isUsed;
    },
    configurable: true,
  },
  body: {
    get(this: WithBody) {
      return this[BODY].stream;
    },
    configurable: true,
  },
});

function attach(response: Response, bytes: ArrayBuffer): Buffered {
  const body = new Buffered(bytes, response.headers);
  (response as { [BODY]?: Buffered })[BODY] = body;
  Object.setPrototypeOf(response, PROTOTYPE);
  return body;
}
