import { formatTimeNs } from "./nanosecond-time.ts";
import type { OrderInput, SimulatedOrder } from "./order.ts";
import { isFinal } from "./order.ts";
import { seededRandom, seededUuid } from "./seeded-random.ts";

/** A position with Alpaca's own fields; numbers are strings. */
export interface SimulatedPosition {
  readonly asset_id: string;
  readonly symbol: string;
  readonly exchange: string;
  readonly asset_class: string;
  readonly asset_marginable: boolean;
  readonly avg_entry_price: string;
  readonly qty: string;
  readonly qty_available: string;
  readonly side: string;
  readonly market_value: string;
  readonly cost_basis: string;
  readonly unrealized_pl: string;
  readonly unrealized_plpc: string;
  readonly unrealized_intraday_pl: string;
  readonly unrealized_intraday_plpc: string;
  readonly current_price: string;
  readonly lastday_price: string;
  readonly change_today: string;
}

/** A position to hold; what is left out follows from quantity (default 1, negative for a short) and entry price (100). */
export type PositionInput = Partial<SimulatedPosition>;

/** An account with Alpaca's own fields; numbers are strings. */
export type SimulatedAccount = Readonly<Record<string, string | number | boolean | null>>;

/** A whole position from what is given of it. */
export function completePosition(input: PositionInput): SimulatedPosition {
  const symbol = input.symbol ?? "AAPL";
  const qty = input.qty ?? "1";
  const entryPrice = input.avg_entry_price ?? "100";
  const currentPrice = input.current_price ?? entryPrice;
  const cost = Number(qty) * Number(entryPrice);
  const value = Number(qty) * Number(currentPrice);
  return {
    asset_id: seededUuid(seededRandom(symbol)),
    symbol,
    exchange: "NASDAQ",
    asset_class: symbol.includes("/") ? "crypto" : "us_equity",
    asset_marginable: true,
    avg_entry_price: entryPrice,
    qty,
    qty_available: qty,
    side: Number(qty) < 0 ? "short" : "long",
    market_value: decimal(value),
    cost_basis: decimal(cost),
    unrealized_pl: decimal(value - cost),
    unrealized_plpc: decimal(cost === 0 ? 0 : (value - cost) / Math.abs(cost)),
    unrealized_intraday_pl: "0",
    unrealized_intraday_plpc: "0",
    current_price: currentPrice,
    lastday_price: currentPrice,
    change_today: "0",
    ...input,
  };
}

/** The position with what open orders of the other side hold taken off `qty_available`. */
export function withHeldQuantity(position: SimulatedPosition, orders: readonly SimulatedOrder[]): SimulatedPosition {
  const closingSide = position.side === "short" ? "buy" : "sell";
  const held = orders
    .filter(({ symbol, side, status }) => symbol === position.symbol && side === closingSide && !isFinal(status))
    .reduce((sum, { qty, filled_qty }) => sum + Number(qty ?? 0) - Number(filled_qty), 0);
  if (held === 0) return position;
  const available = Math.max(0, Math.abs(Number(position.qty_available)) - held);
  return { ...position, qty_available: decimal(position.side === "short" ? -available : available) };
}

/** An account whose equity is 50 000 in cash and what the positions are worth. */
export function seededAccount(positions: readonly SimulatedPosition[], changes: SimulatedAccount): SimulatedAccount {
  const long = positions.reduce((sum, { market_value }) => sum + Math.max(0, Number(market_value)), 0);
  const short = positions.reduce((sum, { market_value }) => sum + Math.min(0, Number(market_value)), 0);
  const equity = decimal(50_000 + long + short);
  return {
    id: seededUuid(seededRandom("account")),
    account_number: "PA3SIMULATED",
    status: "ACTIVE",
    crypto_status: "ACTIVE",
    currency: "USD",
    buying_power: "100000",
    regt_buying_power: "100000",
    non_marginable_buying_power: "50000",
    options_buying_power: "50000",
    cash: "50000",
    accrued_fees: "0",
    portfolio_value: equity,
    equity,
    last_equity: equity,
    long_market_value: decimal(long),
    short_market_value: decimal(short),
    position_market_value: decimal(long + short),
    initial_margin: "0",
    maintenance_margin: "0",
    last_maintenance_margin: "0",
    multiplier: "2",
    sma: "50000",
    trading_blocked: false,
    transfers_blocked: false,
    account_blocked: false,
    trade_suspended_by_user: false,
    shorting_enabled: true,
    options_approved_level: 0,
    options_trading_level: 0,
    created_at: "2024-03-11T14:02:07.415926Z",
    ...changes,
  };
}

/** The positions of a simulator that was given none. */
export const SEEDED_POSITIONS: readonly PositionInput[] = [
  { symbol: "AAPL", qty: "12", avg_entry_price: "187.42", current_price: "201.1" },
  { symbol: "MSFT", qty: "3.5", avg_entry_price: "411.23", current_price: "402.87" },
  { symbol: "F", qty: "-40", avg_entry_price: "11.07", current_price: "10.9" },
];

/** So many orders, the last one a minute old and each an hour older than the next; every third is open. */
export function seededOrders(count: number, nowMs: number): OrderInput[] {
  const random = seededRandom("seeded orders");
  const symbols = ["AAPL", "MSFT", "F", "SPY", "BTC/USD"];
  const statuses = ["new", "filled", "canceled"] as const;
  return Array.from({ length: count }, (_, index) => {
    const ageMs = (count - 1 - index) * 3_600_000 + 60_000;
    const at = formatTimeNs(BigInt(Math.floor(nowMs) - ageMs) * 1_000_000n + BigInt(Math.floor(random() * 1e6)));
    const status = statuses[index % 3]!;
    const price = (10 + random() * 200).toFixed(2);
    const qty = String(1 + Math.floor(random() * 20));
    return {
      client_order_id: `seeded-${index + 1}`,
      symbol: symbols[index % symbols.length]!,
      side: random() < 0.5 ? "buy" : "sell",
      qty,
      limit_price: price,
      time_in_force: "gtc",
      status,
      submitted_at: at,
      ...(status === "filled" ? { filled_at: at, filled_qty: qty, filled_avg_price: price } : {}),
      ...(status === "canceled" ? { canceled_at: at } : {}),
    };
  });
}

function decimal(value: number): string {
  return String(Math.round(value * 1e9) / 1e9);
}
