import type { IncomingMessage, ServerResponse } from "node:http";
import type { Fault } from "./faults.ts";
import type { RateLimitState } from "./rate-limit.ts";
import { jsonReply, type Reply, statusReply } from "./reply.ts";

/** One request that is being answered. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  /** Time of the `Date` header, in ms since 1970. */
  readonly dateMs: number;
  readonly rateLimit: RateLimitState;
  /** What would be answered if nothing went wrong; what was asked for is done at the first call, and only then. */
  usual(): Reply;
}

/** Sends a whole answer with the headers that every answer has. */
export function sendReply(exchange: Exchange, reply: Reply): void {
  const { response } = exchange;
  if (response.destroyed) return;
  const length = reply.status === 204 ? {} : { "Content-Length": String(Buffer.byteLength(reply.body)) };
  response.writeHead(reply.status, { ...headersOf(exchange, reply), ...length });
  response.end(reply.body);
}

/** Plays what goes wrong. Resolves as soon as all that is to be sent has been handed over. */
export async function playFault(exchange: Exchange, fault: Fault, wait: (ms: number) => Promise<void>): Promise<void> {
  const { request, rateLimit } = exchange;
  switch (fault.kind) {
    case "status":
      return sendReply(exchange, statusReply(fault.status, fault.code, fault.message));
    case "throttle": {
      const resetSeconds = Math.ceil(exchange.dateMs / 1000) + (fault.resetSeconds ?? 30);
      const retryAfter = fault.retryAfterSeconds;
      const headers = retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) };
      const state = { ...rateLimit, remaining: 0, resetSeconds };
      return sendReply({ ...exchange, rateLimit: state }, { ...statusReply(429), headers });
    }
    case "delay": {
      const reply = exchange.usual();
      await wait(fault.delayMs);
      return sendReply(exchange, reply);
    }
    case "hang":
      return;
    case "reset":
      request.socket.destroy();
      return;
    case "truncated":
      return sendHalf(exchange, exchange.usual(), fault.chunked ?? false);
    case "garbage":
      return sendReply(exchange, garbageReply(fault.format));
    case "redirect": {
      const location = new URL(request.url ?? "/", fault.to).href;
      return sendReply(exchange, {
        status: fault.status ?? 302,
        contentType: "text/html",
        body: "",
        headers: { Location: location },
      });
    }
    case "clock":
      return sendReply(exchange, exchange.usual());
    case "schema":
      return sendReply(exchange, bend(exchange.usual(), fault.omit ?? [], fault.set ?? {}));
  }
}

function headersOf({ requestId, dateMs, rateLimit }: Exchange, reply: Reply): Record<string, string> {
  return {
    Date: new Date(dateMs).toUTCString(),
    "X-Request-ID": requestId,
    "X-RateLimit-Limit": String(rateLimit.limit),
    "X-RateLimit-Remaining": String(rateLimit.remaining),
    "X-RateLimit-Reset": String(rateLimit.resetSeconds),
    ...(reply.contentType === "" ? {} : { "Content-Type": reply.contentType }),
    ...reply.headers,
  };
}

function sendHalf(exchange: Exchange, reply: Reply, chunked: boolean): void {
  const { request, response } = exchange;
  if (response.destroyed) return;
  const body = Buffer.from(reply.body === "" ? "{}" : reply.body);
  const length = chunked ? {} : { "Content-Length": String(body.length) };
  response.writeHead(reply.status === 204 ? 200 : reply.status, { ...headersOf(exchange, reply), ...length });
  response.write(body.subarray(0, Math.ceil(body.length / 2)), () => request.socket.destroy());
}

function garbageReply(format: "html" | "json"): Reply {
  return format === "html"
    ? { status: 200, contentType: "text/html", body: "<html><body>We will be back soon</body></html>" }
    : { status: 200, contentType: "application/json; charset=UTF-8", body: '{"is_open": tr' };
}

function bend(reply: Reply, omit: readonly string[], set: Readonly<Record<string, unknown>>): Reply {
  if (reply.body === "") return reply;
  const bendOne = (value: unknown) => {
    if (typeof value !== "object" || value === null) return value;
    const kept = Object.entries(value).filter(([key]) => !omit.includes(key));
    return { ...Object.fromEntries(kept), ...set };
  };
  const value: unknown = JSON.parse(reply.body);
  return jsonReply(reply.status, Array.isArray(value) ? value.map(bendOne) : bendOne(value));
}
