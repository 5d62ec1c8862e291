interface DenoHttp {
  createHttpClient?: (options: { poolMaxIdlePerHost: number }) => unknown;
}

let init: object | undefined;

/**
 * What to add to a request's `init` so that the runtime itself never sends it twice. Deno repeats any request, a POST
 * included, when a connection that has been used before is cut without an answer; a connection of its own spares it
 * that (https://github.com/denoland/deno/issues/35610; measured on 2.9.6). Node sends once, and nothing is added.
 */
export function unrepeated(): object {
  if (!init) {
    const { createHttpClient } = (globalThis as { Deno?: DenoHttp }).Deno ?? {};
    init = createHttpClient ? { client: createHttpClient({ poolMaxIdlePerHost: 0 }) } : {};
  }
  return init;
}
