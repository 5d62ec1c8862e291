import { parseTimeNs } from "./nanosecond-time.ts";
import { isFinal, type OrderEntry } from "./order.ts";
import { ApiProblem, unprocessable } from "./reply.ts";

/** What `GET /v2/orders` was asked for. */
export interface OrderQuery {
  readonly status: string;
  readonly limit: number;
  readonly direction: string;
  readonly nested: boolean;
  /** Empty for all. */
  readonly symbols: readonly string[];
  readonly side: string | null;
  readonly afterNs: bigint | null;
  readonly untilNs: bigint | null;
  readonly beforeId: string | null;
  readonly afterId: string | null;
}

/** Reads the query of `GET /v2/orders`. Throws ApiProblem 422 for what Alpaca does not take. */
export function parseOrderQuery(parameters: URLSearchParams): OrderQuery {
  const limit = Number(parameters.get("limit") ?? 50);
  if (!Number.isInteger(limit) || limit < 1 || limit > 500) throw unprocessable("limit must be from 1 to 500");
  const query = {
    status: oneOf(parameters, "status", ["open", "closed", "all"]),
    limit,
    direction: oneOf(parameters, "direction", ["desc", "asc"]),
    nested: parameters.get("nested") === "true",
    symbols: parameters.get("symbols")?.split(",").filter(Boolean) ?? [],
    side: parameters.get("side"),
    afterNs: timeOf(parameters, "after"),
    untilNs: timeOf(parameters, "until"),
    beforeId: parameters.get("before_order_id"),
    afterId: parameters.get("after_order_id"),
  };
  if (query.beforeId !== null && query.afterId !== null) {
    throw unprocessable("before_order_id and after_order_id are mutually exclusive");
  }
  if ((query.beforeId ?? query.afterId) !== null && (query.afterNs ?? query.untilNs) !== null) {
    throw unprocessable("order ids cannot be combined with after or until");
  }
  return query;
}

/** The entries that a query is about, in its direction; those of one instant in the order in which they were added. */
export function listOrders(entries: readonly OrderEntry[], query: OrderQuery): OrderEntry[] {
  const timed = entries
    .filter(({ isLeg }) => !query.nested || !isLeg)
    .map((entry) => ({ entry, atNs: parseTimeNs(entry.order.submitted_at) ?? 0n }))
    .sort((a, b) => (a.atNs < b.atNs ? -1 : a.atNs > b.atNs ? 1 : 0));
  const from = query.afterId === null ? 0 : indexOf(timed, query.afterId) + 1;
  const to = query.beforeId === null ? timed.length : indexOf(timed, query.beforeId);
  const matching = timed.slice(from, to).filter(({ entry: { order }, atNs }) => {
    if (query.status !== "all" && isFinal(order.status) !== (query.status === "closed")) return false;
    if (query.symbols.length > 0 && !query.symbols.includes(order.symbol)) return false;
    if (query.side !== null && query.side !== order.side) return false;
    if (query.afterNs !== null && atNs <= query.afterNs) return false;
    return query.untilNs === null || atNs < query.untilNs;
  });
  if (query.direction === "desc") matching.reverse();
  return matching.slice(0, query.limit).map(({ entry }) => entry);
}

function indexOf(timed: readonly { entry: OrderEntry }[], id: string): number {
  const index = timed.findIndex(({ entry }) => entry.order.id === id);
  if (index < 0) throw new ApiProblem(404, 40_410_000, `order not found for ${id}`);
  return index;
}

function oneOf(parameters: URLSearchParams, name: string, [usual, ...others]: [string, ...string[]]): string {
  const value = parameters.get(name) ?? usual;
  if (value !== usual && !others.includes(value)) throw unprocessable(`invalid ${name}: ${value}`);
  return value;
}

function timeOf(parameters: URLSearchParams, name: string): bigint | null {
  const text = parameters.get(name);
  if (text === null) return null;
  const timeNs = parseTimeNs(text);
  if (timeNs === null) throw unprocessable(`invalid ${name}: ${text}`);
  return timeNs;
}
