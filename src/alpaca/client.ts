import { type AlpacaFetchOptions, createAlpacaFetch } from "./fetch.ts";
import type { Query } from "./request.ts";
import type * as Schemas from "./schemas.ts";

export type { Account, CalendarDay, Clock, Order, Position } from "./schemas.ts";

/** What orders to list; times are ISO 8601, and `after` and `until` are exclusive. */
export interface OrderQuery {
  /** `open` is the default, as it is Alpaca's. */
  readonly status?: "open" | "closed" | "all";
  readonly symbols?: readonly string[];
  readonly after?: string;
  readonly until?: string;
  readonly side?: "buy" | "sell";
  readonly nested?: boolean;
  /** Orders a page; 500, the most that Alpaca gives. */
  readonly pageSize?: number;
}

export interface CallSettings {
  readonly signal?: AbortSignal | undefined;
}

/** Typed calls. Fields keep Alpaca's own names, numbers are strings, and unknown fields are kept. */
export interface AlpacaClient {
  getAccount(settings?: CallSettings): Promise<Schemas.Account>;
  getClock(settings?: CallSettings): Promise<Schemas.Clock>;
  /** Trading days from `start` to `end`, both inclusive, as `2026-11-24`. */
  getCalendar(range?: { start?: string; end?: string }, settings?: CallSettings): Promise<Schemas.CalendarDay[]>;
  getPositions(settings?: CallSettings): Promise<Schemas.Position[]>;
  /** All orders that match, page after page. */
  getOrders(query?: OrderQuery, settings?: CallSettings): Promise<Schemas.Order[]>;
  getOrder(orderId: string, settings?: CallSettings): Promise<Schemas.Order>;
  /** Asks for the cancellation of an order. Alpaca's 204 means requested, not done. Never retried. */
  cancelOrder(orderId: string, settings?: CallSettings): Promise<void>;
}

/**
 * Makes a client on createAlpacaFetch.
 *
 * Every call throws AlpacaError for an answer that is not 2xx, is not JSON or does not match its schema, besides what
 * createAlpacaFetch throws.
 */
export function createAlpacaClient(options: AlpacaFetchOptions & { signal?: AbortSignal }): AlpacaClient {
  const alpacaFetch = createAlpacaFetch(options);
  const { alpaca } = options.config;
  const secrets = alpaca.enabled ? [alpaca.credentials.key.reveal(), alpaca.credentials.secret.reveal()] : [];
  // Reading and checking answers is loaded while the first request is on its way.
  const call = async <K extends keyof typeof Schemas>(
    method: string,
    path: string,
    schema: K | null,
    {
      query,
      signal = options.signal,
      isList,
    }: { query?: Query; signal?: AbortSignal | undefined; isList?: boolean } = {},
    // biome-ignore lint/suspicious/noExplicitAny: the schema's name decides, and the interface above says so
  ): Promise<any> => {
    const url = new URL(`${alpaca.baseUrl}${path}`);
    for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) url.searchParams.set(name, value);
    const sent = alpacaFetch(url, signal ? { method, signal } : { method });
    // Its failure is dealt with below, and must not count as unhandled while the module loads.
    sent.catch(() => {});
    const { readAnswer } = await import("./request.ts");
    return readAnswer(await sent, { method, url, schema, isList: isList ?? false, secrets });
  };
  // A call's own signal comes on top of the client's: an interrupted script ends all its calls.
  const withSignal = ({ signal }: CallSettings = {}) => {
    if (!signal) return {};
    return { signal: options.signal ? AbortSignal.any([options.signal, signal]) : signal };
  };

  const client: AlpacaClient = {
    getAccount: (settings) => call("GET", "/v2/account", "Account", withSignal(settings)),
    getClock: (settings) => call("GET", "/v2/clock", "Clock", withSignal(settings)),
    getCalendar: (range, settings) =>
      call("GET", "/v2/calendar", "CalendarDay", { query: { ...range }, isList: true, ...withSignal(settings) }),
    getPositions: (settings) => call("GET", "/v2/positions", "Position", { isList: true, ...withSignal(settings) }),
    getOrders: async (query = {}, settings) => {
      const { status = "open", symbols, side, nested, after, until, pageSize = 500 } = query;
      const orders: Schemas.Order[] = [];
      // An id tells apart what was submitted at the same moment, and must not be combined with `after` and `until`.
      let from: Query = { after, until };
      for (;;) {
        const page: Schemas.Order[] = await call("GET", "/v2/orders", "Order", {
          query: {
            status,
            limit: String(pageSize),
            direction: "asc",
            symbols: symbols?.join(","),
            side,
            nested: nested === undefined ? undefined : String(nested),
            ...from,
          },
          isList: true,
          ...withSignal(settings),
        });
        for (const order of page) if (!isFrom(until, order)) orders.push(order);
        const last = page.at(-1);
        if (last !== undefined && last.id === from.after_order_id) {
          throw new TypeError(
            "Cannot list orders: a page ends where the one before it ended, after_order_id is ignored",
          );
        }
        if (last === undefined || page.length < pageSize || isFrom(until, last)) return orders;
        from = { after_order_id: last.id };
      }
    },
    getOrder: async (orderId, settings) => call("GET", `/v2/orders/${segment(orderId)}`, "Order", withSignal(settings)),
    cancelOrder: async (orderId, settings) =>
      call("DELETE", `/v2/orders/${segment(orderId)}`, null, withSignal(settings)),
  };
  return client;
}

/** Whether an order was submitted at `until` or later; what has no time that can be read was not. */
function isFrom(until: string | undefined, { submitted_at }: Schemas.Order): boolean {
  if (until === undefined || !submitted_at) return false;
  const [at, end] = [timeOf(submitted_at), timeOf(until)];
  return at.seconds === end.seconds ? at.fraction >= end.fraction : at.seconds > end.seconds;
}

// Alpaca's times have nanoseconds, and a Date would drop them.
function timeOf(text: string): { seconds: number; fraction: string } {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "";
  return { seconds: Date.parse(text.replace(/\.\d+/, "")), fraction: fraction.padEnd(9, "0") };
}

function segment(id: string): string {
  if (id === "" || id === "." || id === "..") throw new TypeError("Cannot call Alpaca: an order id is empty or a path");
  return encodeURIComponent(id);
}
