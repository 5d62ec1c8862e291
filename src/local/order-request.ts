import type { SimulatedAccount, SimulatedPosition } from "./account.ts";
import type { OrderInput } from "./order.ts";
import { ApiProblem, unprocessable } from "./reply.ts";

const TYPES = ["market", "limit", "stop", "stop_limit", "trailing_stop"];
const TIMES_IN_FORCE = ["day", "gtc", "opg", "cls", "ioc", "fok"];

/** What the account has to take an order with. */
export interface OrderContext {
  readonly account: SimulatedAccount;
  /** The position in the order's symbol, with `qty_available` up to date. */
  positionIn(symbol: string): SimulatedPosition | undefined;
  isClientOrderIdTaken(clientOrderId: string): boolean;
}

/** Reads the body of `POST /v2/orders` for a simple order. Throws ApiProblem as Alpaca would reject it. */
export function parseOrderRequest(body: string, context: OrderContext): OrderInput {
  const fields = parseObject(body);
  const order_class = text(fields, "order_class") ?? "";
  if (order_class !== "" && order_class !== "simple") {
    throw unprocessable(`order_class ${order_class} is not simulated`);
  }
  const symbol = required(fields, "symbol");
  const side = oneOf(fields, "side", ["buy", "sell"]);
  const type = oneOf(fields, "type", TYPES);
  const qty = positive(fields, "qty");
  const notional = positive(fields, "notional");
  if ((qty === undefined) === (notional === undefined)) throw unprocessable("qty or notional is required, not both");
  const limit_price = positive(fields, "limit_price");
  if (type.endsWith("limit") && limit_price === undefined) throw unprocessable(`${type} orders require a limit price`);
  const stop_price = positive(fields, "stop_price");
  if (type.startsWith("stop") && stop_price === undefined) throw unprocessable(`${type} orders require a stop price`);
  const input: OrderInput = {
    symbol,
    side,
    type,
    time_in_force: oneOf(fields, "time_in_force", TIMES_IN_FORCE),
    qty: qty ?? null,
    notional: notional ?? null,
    limit_price: limit_price ?? null,
    stop_price: stop_price ?? null,
    trail_price: positive(fields, "trail_price") ?? null,
    trail_percent: positive(fields, "trail_percent") ?? null,
    extended_hours: fields.extended_hours === true,
    ...clientOrderId(fields, context),
  };
  checkMeans(input, context);
  return input;
}

function checkMeans({ symbol = "", side, qty, notional, limit_price }: OrderInput, context: OrderContext): void {
  const { buying_power, trading_blocked } = context.account;
  if (trading_blocked === true) throw new ApiProblem(403, 40_310_000, "new orders are rejected by user request");
  const position = context.positionIn(symbol);
  if (side === "sell" && position?.side === "long" && qty != null && Number(qty) > Number(position.qty_available)) {
    throw new ApiProblem(
      403,
      40_310_000,
      `insufficient qty available for order (requested: ${qty}, available: ${position.qty_available})`,
      {
        symbol,
        available: position.qty_available,
        existing_qty: position.qty,
        held_for_orders: String(Number(position.qty) - Number(position.qty_available)),
      },
    );
  }
  const cost = Number(notional ?? Number(qty) * Number(limit_price ?? 0));
  if (side === "buy" && cost > Number(buying_power)) {
    throw new ApiProblem(403, 40_310_000, "insufficient buying power", { buying_power, cost_basis: String(cost) });
  }
}

function clientOrderId(fields: Record<string, unknown>, context: OrderContext): Pick<OrderInput, "client_order_id"> {
  const id = text(fields, "client_order_id");
  if (id === undefined || id === "") return {};
  if (id.length > 128) throw unprocessable("client_order_id must be no more than 128 characters");
  if (context.isClientOrderIdTaken(id)) throw new ApiProblem(422, 40_010_001, "client_order_id must be unique");
  return { client_order_id: id };
}

function parseObject(body: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    // Answered below, like everything that is not an object.
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new ApiProblem(400, 40_010_000, "request body format is invalid");
}

function text(fields: Record<string, unknown>, name: string): string | undefined {
  const value = fields[name];
  if (value == null) return undefined;
  if (typeof value !== "string" && typeof value !== "number") throw unprocessable(`invalid ${name}`);
  return String(value);
}

function required(fields: Record<string, unknown>, name: string): string {
  const value = text(fields, name);
  if (value === undefined || value === "") throw unprocessable(`${name} is required`);
  return value;
}

function oneOf(fields: Record<string, unknown>, name: string, values: readonly string[]): string {
  const value = required(fields, name);
  if (!values.includes(value)) throw unprocessable(`invalid ${name}: ${value}`);
  return value;
}

function positive(fields: Record<string, unknown>, name: string): string | undefined {
  const value = text(fields, name);
  if (value === undefined) return undefined;
  if (!/^\d+(\.\d{1,9})?$/.test(value) || Number(value) === 0) throw unprocessable(`${name} must be > 0`);
  return value;
}
