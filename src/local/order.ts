export type OrderStatus =
  | "new"
  | "partially_filled"
  | "filled"
  | "done_for_day"
  | "canceled"
  | "expired"
  | "replaced"
  | "pending_cancel"
  | "pending_replace"
  | "accepted"
  | "pending_new"
  | "accepted_for_bidding"
  | "stopped"
  | "rejected"
  | "suspended"
  | "calculated"
  | "held";

/** Statuses that no update follows. */
const FINAL: readonly OrderStatus[] = ["filled", "canceled", "expired", "replaced", "rejected"];

/** An order with Alpaca's own fields: numbers are strings, timestamps have nanoseconds. */
export interface SimulatedOrder {
  readonly id: string;
  readonly client_order_id: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly submitted_at: string;
  readonly filled_at: string | null;
  readonly expired_at: string | null;
  readonly canceled_at: string | null;
  readonly failed_at: string | null;
  readonly replaced_at: string | null;
  readonly replaced_by: string | null;
  readonly replaces: string | null;
  readonly asset_id: string;
  readonly symbol: string;
  readonly asset_class: string;
  readonly notional: string | null;
  readonly qty: string | null;
  readonly filled_qty: string;
  readonly filled_avg_price: string | null;
  readonly order_class: string;
  readonly order_type: string;
  readonly type: string;
  readonly side: string;
  readonly time_in_force: string;
  readonly limit_price: string | null;
  readonly stop_price: string | null;
  readonly status: OrderStatus;
  readonly extended_hours: boolean;
  readonly legs: readonly SimulatedOrder[] | null;
  readonly trail_percent: string | null;
  readonly trail_price: string | null;
  readonly hwm: string | null;
}

/** An order to add; what is left out is that of a new limit order for one share of AAPL at 100, submitted now. */
export type OrderInput = Partial<Omit<SimulatedOrder, "legs">> & { readonly legs?: readonly OrderInput[] };

/** An order as the book keeps it. */
export interface OrderEntry {
  order: SimulatedOrder;
  readonly legs: readonly OrderEntry[];
  readonly isLeg: boolean;
  cancelDueMs: number | null;
}

/** Whether no update follows on that status, so that the order counts as closed. */
export function isFinal(status: OrderStatus): boolean {
  return FINAL.includes(status);
}
