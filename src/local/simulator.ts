import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { judge, refuse, SIMULATOR_CREDENTIALS, withoutCredentials } from "./access.ts";
import {
  completePosition,
  type PositionInput,
  SEEDED_POSITIONS,
  type SimulatedAccount,
  seededAccount,
  seededOrders,
} from "./account.ts";
import { type Exchange, playFault, sendReply } from "./exchange.ts";
import { type Fault, type FaultOptions, FaultQueue, type SimulatedHost } from "./faults.ts";
import { listenOnLoopback } from "./loopback-server.ts";
import type { OrderInput, SimulatedOrder } from "./order.ts";
import { OrderBook } from "./order-book.ts";
import { RateLimit } from "./rate-limit.ts";
import { jsonReply, type Reply } from "./reply.ts";
import { type LoggedRequest, type OpenRequest, RequestLog } from "./request-log.ts";
import { answerData, answerTrading, type Brokerage } from "./routes.ts";
import { seededHex, seededRandom } from "./seeded-random.ts";

export interface SimulatorOptions {
  /** Default: those of SIMULATOR_CREDENTIALS. */
  readonly keyId?: string;
  readonly secretKey?: string;
  /** Requests with good credentials that each host takes within 60 s. Default 200. */
  readonly requestsPerMinute?: number;
  /** The same for the data host alone. */
  readonly dataRequestsPerMinute?: number;
  /** Clock of everything but a `delay` fault, in ms since 1970. Default `Date.now`. */
  readonly now?: () => number;
  /** Orders, or how many seeded ones. Default 12. */
  readonly orders?: readonly OrderInput[] | number;
  /** Default: three seeded ones. */
  readonly positions?: readonly PositionInput[];
  /** Fields of the account that differ from the seeded one. */
  readonly account?: SimulatedAccount;
  /** Time from a requested cancel to `canceled`. Default 0: canceled when it is next looked at. */
  readonly cancelDelayMs?: number;
  /** Port of the trading host. Default: a free one. */
  readonly port?: number;
  /** Port of the data host. Default: a free one. */
  readonly dataPort?: number;
  /** Requests that the log keeps. Default 10 000. */
  readonly logSize?: number;
  /** Called when an answer was sent or its connection is gone; for a program that prints what happens. */
  readonly onRequest?: (request: LoggedRequest) => void;
}

/** A running simulator. */
export interface Simulator extends AsyncDisposable {
  /** Base URL of the trading host, for ALPACA_BASE_URL. */
  readonly tradingUrl: string;
  /** Base URL of the data host, for ALPACA_DATA_URL. */
  readonly dataUrl: string;
  readonly keyId: string;
  readonly secretKey: string;
  /** The latest requests, oldest first. */
  readonly requests: readonly LoggedRequest[];
  /** Requests since the start or the last `clearRequests`, those no longer in the log included. */
  readonly counts: Readonly<Record<SimulatedHost, number>>;
  /** Every order, in the order in which they were added. */
  readonly orders: readonly SimulatedOrder[];
  /** Sets a fault, see FaultOptions; the returned function removes it. Counted faults go before standing ones. */
  fault(fault: Fault, options?: FaultOptions): () => void;
  clearFaults(): void;
  clearRequests(): void;
  /** Adds an order and returns it whole. */
  addOrder(input?: OrderInput): SimulatedOrder;
  /** Changes an order, such as its status to `filled`. Throws when the id is unknown. */
  updateOrder(id: string, changes: Partial<Omit<SimulatedOrder, "id" | "legs">>): SimulatedOrder;
  /** Resolves with the first logged request that matches, throws after `timeoutMs` (default 5000). */
  waitForRequest(predicate: (request: LoggedRequest) => boolean, timeoutMs?: number): Promise<LoggedRequest>;
  /** Stops, and cuts every connection at once. */
  close(): Promise<void>;
}

/**
 * Starts a simulator of Alpaca on 127.0.0.1: account, clock, calendar, positions and orders on one port, stock bars on
 * another. The same requests at the same time by `now` get the same answers. Throws when an option makes no sense.
 */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const now = options.now ?? Date.now;
  const { keyId = SIMULATOR_CREDENTIALS.keyId, secretKey = SIMULATOR_CREDENTIALS.secretKey } = options;
  const requestsPerMinute = whole("requestsPerMinute", options.requestsPerMinute ?? 200, 1);
  const limits: Record<SimulatedHost, RateLimit> = {
    trading: new RateLimit(requestsPerMinute, now),
    data: new RateLimit(whole("dataRequestsPerMinute", options.dataRequestsPerMinute ?? requestsPerMinute, 1), now),
  };
  const brokerage = openBrokerage(options, now);
  const faults = new FaultQueue();
  const log = new RequestLog(whole("logSize", options.logSize ?? 10_000, 1));
  const random = seededRandom("request ids");
  const stopped = new AbortController();

  async function handle(host: SimulatedHost, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "GET" } = request;
    const url = new URL(request.url ?? "/", "http://127.0.0.1");
    const active = faults.take({ host, method, path: url.pathname });
    const entry: OpenRequest = {
      host,
      method,
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: withoutCredentials(request),
      credentials: judge(request, keyId, secretKey),
      at: now(),
      requestId: seededHex(random, 32),
      fault: active?.fault.kind ?? null,
      status: null,
    };
    response.on("close", () => {
      if (response.headersSent) entry.status = response.statusCode;
      options.onRequest?.(entry);
    });
    log.add(entry);
    const body = await readBody(request);
    const offsetMs = active?.fault.kind === "clock" ? active.fault.offsetMs : 0;
    const admitted = entry.credentials !== "valid" || limits[host].take();
    let reply: Reply | undefined;
    const usual = () => {
      const routed = { method, path: url.pathname, query: url.searchParams, body, nowMs: now() + offsetMs };
      reply ??=
        refuse(host, entry.credentials, admitted) ?? (host === "data" ? answerData : answerTrading)(routed, brokerage);
      return reply;
    };
    const rateLimit = limits[host].state;
    const exchange: Exchange = {
      request,
      response,
      requestId: entry.requestId,
      dateMs: now() + offsetMs,
      rateLimit,
      usual,
    };
    if (active?.applied) usual();
    const wait = (ms: number) => waitUnlessStopped(ms, stopped.signal);
    await (active === undefined ? sendReply(exchange, usual()) : playFault(exchange, active.fault, wait));
    if (response.headersSent) entry.status = response.statusCode;
  }

  const listener = (host: SimulatedHost) => (request: IncomingMessage, response: ServerResponse) => {
    handle(host, request, response).catch((error: unknown) => {
      if (response.headersSent || request.socket.destroyed) return request.socket.destroy();
      // Not Alpaca's words: this is a defect of the simulator, and whoever meets it should see that.
      const reply = jsonReply(500, { message: `simulator failed: ${String(error)}` });
      response.writeHead(reply.status, { "Content-Type": reply.contentType }).end(reply.body);
    });
  };
  const trading = await listenOnLoopback(listener("trading"), options.port);
  const data = await listenOnLoopback(listener("data"), options.dataPort).catch(async (error: unknown) => {
    await trading.close();
    throw error;
  });
  const close = async () => {
    stopped.abort();
    log.close();
    await Promise.all([trading.close(), data.close()]);
  };
  return {
    tradingUrl: trading.url,
    dataUrl: data.url,
    keyId,
    secretKey,
    get requests() {
      return log.requests;
    },
    counts: log.counts,
    get orders() {
      return brokerage.book.all();
    },
    fault: (fault, faultOptions) => faults.add(fault, faultOptions),
    clearFaults: () => faults.clear(),
    clearRequests: () => log.clear(),
    addOrder: (input = {}) => brokerage.book.add(input),
    updateOrder: (id, changes) => brokerage.book.update(id, changes),
    waitForRequest: (predicate, timeoutMs = 5000) => log.waitFor(predicate, timeoutMs),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function openBrokerage(options: SimulatorOptions, now: () => number): Brokerage {
  const { orders = 12, positions: inputs = SEEDED_POSITIONS } = options;
  const book = new OrderBook(now, whole("cancelDelayMs", options.cancelDelayMs ?? 0, 0));
  const seeded = typeof orders === "number" ? seededOrders(whole("orders", orders, 0), now()) : orders;
  for (const order of seeded) book.add(order);
  const positions = inputs.map(completePosition);
  return { account: seededAccount(positions, options.account ?? {}), positions, book };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/** Ends early, without an error, when the simulator stops. */
async function waitUnlessStopped(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

function whole(name: string, value: number, least: number): number {
  if (Number.isInteger(value) && value >= least) return value;
  throw new RangeError(`Cannot start the simulator: ${name} must be a whole number of at least ${least}, not ${value}`);
}
