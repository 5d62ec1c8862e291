import { subscribe, unsubscribe } from "node:diagnostics_channel";
import process from "node:process";

/** Published by Node's fetch when the headers of a request have been written: connection and TLS are behind it then. */
const SENT = "undici:client:sendHeaders";
/** For a script that makes no request, or none so soon. */
const NO_REQUEST_MS = 250;
/** Deno's fetch runs beside JavaScript, and is not held up by a module that loads. */
const DENO_MS = 10;

/**
 * Calls back once, when the first request is on its way and there is nothing to do but wait: what is heavy to load
 * must not hold up the request itself. Returns how to give it up.
 */
export function afterFirstRequest(callback: () => void): () => void {
  const stop = () => {
    clearTimeout(timer);
    unsubscribe(SENT, sent);
  };
  const sent = () => {
    stop();
    setImmediate(callback);
  };
  const timer = setTimeout(sent, process.versions.deno === undefined ? NO_REQUEST_MS : DENO_MS);
  subscribe(SENT, sent);
  return stop;
}
