import type { AlpacaClient, Order } from "../alpaca/client.ts";
import { sleep } from "../alpaca/sleep.ts";
import { AlpacaError } from "../errors.ts";

/** What became of an order: `requested` has been asked for and is not done yet, `not_tried` comes after an error. */
export type CancelOutcome =
  | "would_cancel"
  | "requested"
  | "canceled"
  | "filled"
  | "gone"
  | "still_open"
  | "failed"
  | "not_tried";

/** An order that is too old, and what became of it. */
export interface StaleOrder {
  readonly id: string;
  readonly symbol: string | null;
  readonly side: string | null;
  readonly qty: string | null;
  readonly submittedAt: string;
  readonly ageMs: number;
  readonly status: string;
  readonly outcome: CancelOutcome;
  /** Why it failed; null otherwise. */
  readonly reason: string | null;
}

const FINAL = new Set(["canceled", "expired", "filled", "rejected", "replaced"]);
const FIRST_LOOK_MS = 200;
const SLOWEST_LOOK_MS = 2_000;

/** Open orders that were submitted at least `olderThanMs` before `nowMs`, which is Alpaca's own time; oldest first. */
export function findStale(orders: readonly Order[], nowMs: number, olderThanMs: number): StaleOrder[] {
  return orders
    .flatMap((order) => {
      const submittedAt = order.submitted_at ?? order.created_at;
      const ageMs = submittedAt ? nowMs - Date.parse(submittedAt) : Number.NaN;
      // An order whose age is unknown is not old.
      if (!submittedAt || !(ageMs >= olderThanMs)) return [];
      return {
        id: order.id,
        symbol: order.symbol ?? null,
        side: order.side ?? null,
        qty: order.qty ?? order.notional ?? null,
        submittedAt,
        ageMs,
        status: order.status,
        outcome: "would_cancel" as const,
        reason: null,
      };
    })
    .sort((a, b) => b.ageMs - a.ageMs);
}

/** Orders as they stand, and the error that ended the work, if one did. */
export interface Cancellation {
  readonly orders: readonly StaleOrder[];
  readonly error: unknown;
}

/**
 * Asks for the cancellation of one order after the other, then looks until they are gone, for at most `waitMs`: Alpaca's
 * 204 means requested, not done. An outage, a throttle, bad credentials or an abort end the work, with what was done so
 * far; an order that Alpaca will not cancel does not.
 */
export async function cancelOrders(
  alpaca: AlpacaClient,
  stale: readonly StaleOrder[],
  options: { readonly waitMs: number; readonly signal: AbortSignal; readonly onProgress: (text: string) => void },
): Promise<Cancellation> {
  const orders: StaleOrder[] = stale.map((order) => ({ ...order, outcome: "not_tried" }));
  try {
    for (const [at, order] of orders.entries()) {
      options.onProgress(`canceling ${at + 1} of ${orders.length} …`);
      orders[at] = await request(alpaca, order);
    }
    await watch(alpaca, orders, options);
    return { orders, error: null };
  } catch (error) {
    return { orders, error };
  }
}

async function request(alpaca: AlpacaClient, order: StaleOrder): Promise<StaleOrder> {
  try {
    await alpaca.cancelOrder(order.id);
    return { ...order, outcome: "requested" };
  } catch (error) {
    if (!(error instanceof AlpacaError) || error.kind !== "rejected") throw error;
    if (error.status === 404) return { ...order, outcome: "gone" };
    // 422: it can no longer be canceled, so it may have been filled in the meantime.
    const now = error.status === 422 ? await look(alpaca, order) : order;
    return FINAL.has(now.status) ? now : { ...now, outcome: "failed", reason: error.message };
  }
}

async function watch(
  alpaca: AlpacaClient,
  orders: StaleOrder[],
  { waitMs, signal, onProgress }: { waitMs: number; signal: AbortSignal; onProgress: (text: string) => void },
): Promise<void> {
  const deadlineMs = performance.now() + waitMs;
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(pauseMs * 2, SLOWEST_LOOK_MS)) {
    for (const [at, order] of orders.entries()) {
      if (order.outcome === "requested") orders[at] = await look(alpaca, order);
    }
    const open = orders.filter(({ outcome }) => outcome === "requested").length;
    if (open === 0) return;
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0) break;
    onProgress(`waiting for ${open} of ${orders.length} orders to be gone …`);
    await sleep(Math.min(pauseMs, leftMs), signal);
  }
  for (const [at, order] of orders.entries()) {
    if (order.outcome === "requested") orders[at] = { ...order, outcome: "still_open" };
  }
}

async function look(alpaca: AlpacaClient, order: StaleOrder): Promise<StaleOrder> {
  try {
    const { status } = await alpaca.getOrder(order.id);
    const outcome =
      status === "filled" ? "filled" : status === "canceled" ? "canceled" : FINAL.has(status) ? "gone" : order.outcome;
    return { ...order, status, outcome };
  } catch (error) {
    if (error instanceof AlpacaError && error.status === 404) return { ...order, outcome: "gone" };
    throw error;
  }
}
