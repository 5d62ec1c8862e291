import { type SimulatedAccount, type SimulatedPosition, withHeldQuantity } from "./account.ts";
import { barPage } from "./bars.ts";
import { addDays, marketClock, newYorkDate, tradingDays } from "./market-calendar.ts";
import { parseTimeNs } from "./nanosecond-time.ts";
import type { OrderBook } from "./order-book.ts";
import { parseOrderQuery } from "./order-query.ts";
import { parseOrderRequest } from "./order-request.ts";
import { ApiProblem, jsonReply, type Reply, unprocessable } from "./reply.ts";

/** What the simulated brokerage has. */
export interface Brokerage {
  readonly account: SimulatedAccount;
  readonly positions: readonly SimulatedPosition[];
  readonly book: OrderBook;
}

/** A request whose credentials are good. */
export interface RoutedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: string;
  /** Time of the market clock, in ms since 1970. */
  readonly nowMs: number;
}

type Handler = (request: RoutedRequest, brokerage: Brokerage, id: string) => Reply;

interface Route {
  readonly method: string;
  /** The whole path; its group, if it has one, is the id. */
  readonly path: RegExp;
  readonly handle: Handler;
}

const TRADING_ROUTES: readonly Route[] = [
  { method: "GET", path: /^\/v2\/account$/, handle: (_request, { account }) => jsonReply(200, account) },
  { method: "GET", path: /^\/v2\/clock$/, handle: ({ nowMs }) => jsonReply(200, marketClock(nowMs)) },
  { method: "GET", path: /^\/v2\/calendar$/, handle: getCalendar },
  { method: "GET", path: /^\/v2\/positions$/, handle: (_request, brokerage) => jsonReply(200, positionsOf(brokerage)) },
  {
    method: "GET",
    path: /^\/v2\/orders$/,
    handle: ({ query }, { book }) => jsonReply(200, book.list(parseOrderQuery(query))),
  },
  { method: "POST", path: /^\/v2\/orders$/, handle: postOrder },
  { method: "DELETE", path: /^\/v2\/orders$/, handle: (_request, { book }) => jsonReply(207, book.cancelAll()) },
  { method: "GET", path: /^\/v2\/orders:by_client_order_id$/, handle: getByClientOrderId },
  {
    method: "GET",
    path: /^\/v2\/orders\/([^/]+)$/,
    handle: ({ query }, { book }, id) => jsonReply(200, book.get(id, query.get("nested") === "true")),
  },
  { method: "DELETE", path: /^\/v2\/orders\/([^/]+)$/, handle: deleteOrder },
];

const DATA_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: /^\/v2\/stocks\/([^/]+)\/bars$/,
    handle: ({ query, nowMs }, _brokerage, id) => jsonReply(200, barPage(id, query, nowMs)),
  },
];

/** What the trading host answers; problems come back as their envelope. */
export function answerTrading(request: RoutedRequest, brokerage: Brokerage): Reply {
  return answer(TRADING_ROUTES, request, brokerage);
}

/** What the data host answers; problems come back as their envelope. */
export function answerData(request: RoutedRequest, brokerage: Brokerage): Reply {
  return answer(DATA_ROUTES, request, brokerage);
}

function answer(routes: readonly Route[], request: RoutedRequest, brokerage: Brokerage): Reply {
  const onPath = routes.filter(({ path }) => path.test(request.path));
  const route = onPath.find(({ method }) => method === request.method);
  try {
    if (route === undefined) {
      throw onPath.length > 0
        ? new ApiProblem(405, 40_510_000, "method not allowed")
        : new ApiProblem(404, 40_410_000, "endpoint not found");
    }
    const id = route.path.exec(request.path)?.[1] ?? "";
    return route.handle(request, brokerage, decodeId(id));
  } catch (error) {
    if (error instanceof ApiProblem) return error.toReply();
    throw error;
  }
}

function decodeId(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    throw new ApiProblem(400, 40_010_000, "path is malformed");
  }
}

function positionsOf({ positions, book }: Brokerage): SimulatedPosition[] {
  const orders = book.all();
  return positions.map((position) => withHeldQuantity(position, orders));
}

function getCalendar({ query, nowMs }: RoutedRequest): Reply {
  const today = newYorkDate(nowMs);
  const start = dateOf(query, "start") ?? today;
  const end = dateOf(query, "end") ?? addDays(start, 365);
  return jsonReply(200, tradingDays(start, end));
}

function dateOf(query: URLSearchParams, name: string): string | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (parseTimeNs(text) === null) throw unprocessable(`invalid ${name}: ${text}`);
  return text.slice(0, 10);
}

function postOrder({ body, nowMs }: RoutedRequest, brokerage: Brokerage): Reply {
  const { account, book } = brokerage;
  const input = parseOrderRequest(body, {
    account,
    positionIn: (symbol) => positionsOf(brokerage).find((position) => position.symbol === symbol),
    isClientOrderIdTaken: (clientOrderId) => book.byClientOrderId(clientOrderId) !== undefined,
  });
  return jsonReply(200, book.add({ ...input, status: marketClock(nowMs).is_open ? "new" : "accepted" }));
}

function getByClientOrderId({ query }: RoutedRequest, { book }: Brokerage): Reply {
  const clientOrderId = query.get("client_order_id");
  if (clientOrderId === null) throw unprocessable("client_order_id is required");
  const order = book.byClientOrderId(clientOrderId);
  if (order === undefined) throw new ApiProblem(404, 40_410_000, `order not found for ${clientOrderId}`);
  return jsonReply(200, order);
}

function deleteOrder(_request: RoutedRequest, { book }: Brokerage, id: string): Reply {
  book.cancel(id);
  return { status: 204, contentType: "", body: "" };
}
