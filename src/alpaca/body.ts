/** A response whose whole body has arrived. */
export interface BufferedResponse {
  readonly response: Response;
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
  if (response.body === null) return { response, isJson: () => false };
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
  const use = async <T>(read: () => T): Promise<T> => {
    if (isUsed) throw new TypeError("Body is unusable: Body has already been read");
    isUsed = true;
    return read();
  };
  // The rare ways to read a body go to a fresh Response.
  const copy = () => new Response(bytes, { headers: response.headers });
  let stream: ReadableStream | null | undefined;
  const own = (value: unknown) => ({ value, configurable: true, writable: true });
  Object.defineProperties(response, {
    json: own(() => use(() => (parse() ?? { value: JSON.parse(decode()) }).value)),
    text: own(() => use(decode)),
    arrayBuffer: own(() => use(() => bytes)),
    bytes: own(() => use(() => new Uint8Array(bytes))),
    blob: own(() => use(() => copy().blob()).then((blob) => blob)),
    formData: own(() => use(() => copy().formData())),
    clone: own(() => {
      if (isUsed) throw new TypeError("Response.clone: Body has already been consumed");
      const { status, statusText, headers } = response;
      const twin = new Response(bytes, { status, statusText, headers });
      Object.defineProperty(twin, "url", { value: response.url });
      return attachBuffer(twin, bytes).response;
    }),
    bodyUsed: { get: () => isUsed || (stream?.locked ?? false), configurable: true },
    body: {
      get: () => {
        stream ??= copy().body;
        return stream;
      },
      configurable: true,
    },
  });
  return { response, isJson: () => parse() !== null };
}
