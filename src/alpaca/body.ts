/** A response whose whole body has arrived. */
export interface BufferedResponse {
  readonly response: Response;
  readonly isEmpty: boolean;
  /** Whether the body parses as JSON; false for an empty one. */
  isJson(): boolean;
}

const DECODER = new TextDecoder();

/**
 * Reads the body now, so that a truncated one fails here and not in the caller's hands, and answers the response's own
 * methods from the buffer. In place: to wrap it in a new Response costs more than all the rest, and loses `url`.
 *
 * @throws what reading the body throws.
 */
export async function bufferBody(response: Response): Promise<BufferedResponse> {
  if (response.body === null) return { response, isEmpty: true, isJson: () => false };
  const bytes = await response.arrayBuffer();
  return attachBuffer(response, bytes);
}

function attachBuffer(response: Response, bytes: ArrayBuffer): BufferedResponse {
  let isUsed = false;
  let text: string | undefined;
  let parsed: { value: unknown } | null | undefined;
  const decode = () => {
    text ??= DECODER.decode(bytes);
    return text;
  };
  const parse = () => {
    if (parsed === undefined) {
      try {
        parsed = { value: JSON.parse(decode()) };
      } catch {
        parsed = null;
      }
    }
    return parsed;
  };
  // The rare ways to read a body go to a fresh Response.
  const copy = () => new Response(bytes, { headers: response.headers });
  // The one whose stream the caller has, if it asked for it: what is read there is read here.
  let streamed: Response | undefined;
  const isSpent = () => isUsed || (streamed !== undefined && (streamed.bodyUsed || streamed.body?.locked === true));
  const use = async <T>(read: () => T): Promise<Awaited<T>> => {
    if (isSpent()) throw new TypeError("Body is unusable: Body has already been read");
    isUsed = true;
    void streamed?.arrayBuffer();
    return await read();
  };
  const own = (value: unknown) => ({ value, configurable: true, writable: true });
  Object.defineProperties(response, {
    json: own(() => use(() => (parse() ?? { value: JSON.parse(decode()) }).value)),
    text: own(() => use(decode)),
    arrayBuffer: own(() => use(() => bytes)),
    bytes: own(() => use(() => new Uint8Array(bytes))),
    blob: own(() => use(() => copy().blob())),
    formData: own(() => use(() => copy().formData())),
    clone: own(() => {
      if (isSpent()) throw new TypeError("Response.clone: Body has already been consumed");
      const { status, statusText, headers } = response;
      const twin = new Response(bytes, { status, statusText, headers });
      Object.defineProperty(twin, "url", { value: response.url });
      return attachBuffer(twin, bytes.slice(0)).response;
    }),
    bodyUsed: { get: () => isUsed || (streamed?.bodyUsed ?? false), configurable: true },
    body: {
      get: () => {
        if (!streamed) {
          streamed = copy();
          if (isUsed) void streamed.arrayBuffer();
        }
        return streamed.body;
      },
      configurable: true,
    },
  });
  return { response, isEmpty: bytes.byteLength === 0, isJson: () => parse() !== null };
}
