import type { AlpacaClient, Order } from "../alpaca/client.ts";
import { sleep } from "../alpaca/sleep.ts";
import {
  AlpacaDisabledError,
  AlpacaError,
  AlpacaThrottledError,
  CircuitBreakerOpenError,
  EXIT,
  exitCodeOf,
} from "../errors.ts";

/**
 * What became of an order. `requested` has been asked for and is not done yet, `gone` ended without us, `unknown` has
 * been asked for and no answer came, and `not_tried` comes after an error.
 */
export type CancelOutcome =
  | "would_cancel"
  | "requested"
  | "canceled"
  | "filled"
  | "gone"
  | "still_open"
  | "failed"
  | "unknown"
  | "not_tried";

/** An order that is too old, and what became of it. */
export interface StaleOrder {
  readonly id: string;
  readonly symbol: string | null;
  readonly side: string | null;
  readonly qty: string | null;
  /** What of it was filled; may be more than nothing when it was canceled. */
  readonly filledQty: string | null;
  readonly submittedAt: string;
  readonly ageMs: number;
  readonly status: string;
  readonly outcome: CancelOutcome;
  /** Why it failed or is unknown; null otherwise. */
  readonly reason: string | null;
}

const FINAL = new Set(["canceled", "expired", "filled", "rejected", "replaced"]);
const FIRST_LOOK_MS = 200;
const SLOWEST_LOOK_MS = 2_000;
/** Time for a look in any case, even when there is nothing to wait for. */
const LEAST_MS = 2_000;
/** From here on one list of open orders costs less of the request budget than a look at each. */
const WORTH_A_LIST = 5;

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
        filledQty: order.filled_qty ?? null,
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

/** How to cancel. */
export interface CancelOptions {
  /** How long to wait until they are gone, in ms; what Alpaca does not answer by then is left. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

/**
 * Asks for the cancellation of one order after the other, then looks until they are gone, for at most `waitMs`: Alpaca's
 * 204 means requested, not done. An outage, a throttle, bad credentials or an abort end the work, with what was done so
 * far; an order that Alpaca will not cancel does not.
 */
export async function cancelOrders(
  alpaca: AlpacaClient,
  stale: readonly StaleOrder[],
  options: CancelOptions,
): Promise<Cancellation> {
  const orders: StaleOrder[] = stale.map((order) => ({ ...order, outcome: "not_tried" }));
  const error = await requestAll(alpaca, orders, options).catch((reason: unknown) => reason);
  if (error === undefined) return { orders, error: (await watch(alpaca, orders, options)) ?? null };
  // What an outage swallowed may have been done all the same: one look tells, if Alpaca answers at all.
  if (exitCodeOf(error) === EXIT.unavailable) await watch(alpaca, orders, { ...options, looks: 1 });
  return { orders, error };
}

async function requestAll(
  alpaca: AlpacaClient,
  orders: StaleOrder[],
  { signal, onProgress }: CancelOptions,
): Promise<void> {
  for (const [at, order] of orders.entries()) {
    signal.throwIfAborted();
    onProgress(`canceling ${at + 1} of ${orders.length} …`);
    try {
      orders[at] = await request(alpaca, order);
    } catch (error) {
      orders[at] = afterError(order, error);
      throw error;
    }
  }
}

async function request(alpaca: AlpacaClient, order: StaleOrder): Promise<StaleOrder> {
  try {
    await alpaca.cancelOrder(order.id);
    return { ...order, outcome: "requested" };
  } catch (error) {
    if (!(error instanceof AlpacaError) || error.kind !== "rejected") throw error;
    const refused = { ...order, outcome: "failed", reason: error.message } as const;
    if (error.status !== 404 && error.status !== 422) return refused;
    // It can no longer be canceled: its state says why.
    const now = await look(alpaca, refused);
    return now.outcome === "canceled" ? { ...now, outcome: "gone" } : now;
  }
}

/** An order whose request ended with an error: refused, never sent, or perhaps heard by Alpaca all the same. */
function afterError(order: StaleOrder, error: unknown): StaleOrder {
  const wasNotSent = [CircuitBreakerOpenError, AlpacaThrottledError, AlpacaDisabledError].some(
    (kind) => error instanceof kind,
  );
  if (wasNotSent) return order;
  if (error instanceof AlpacaError && error.kind !== "unavailable") {
    return { ...order, outcome: "failed", reason: error.message };
  }
  return { ...order, outcome: "unknown", reason: "it was asked for, and no answer came" };
}

/** Looks until every order is gone, or so many times; returns the error that ended it, if one did. */
async function watch(
  alpaca: AlpacaClient,
  orders: StaleOrder[],
  { waitMs, signal, onProgress, looks = Number.POSITIVE_INFINITY }: CancelOptions & { looks?: number },
): Promise<unknown> {
  const late = new Error("no answer while it was waited for");
  const deadline = new AbortController();
  const deadlineMs = performance.now() + waitMs;
  const timer = setTimeout(() => deadline.abort(late), Math.max(waitMs, LEAST_MS));
  const bounded = AbortSignal.any([signal, deadline.signal]);
  try {
    for (let pauseMs = FIRST_LOOK_MS, left = looks; ; pauseMs = Math.min(pauseMs * 2, SLOWEST_LOOK_MS)) {
      await lookAtAll(alpaca, orders, bounded);
      const open = orders.filter(isWaitedFor).length;
      left -= 1;
      if (open === 0 || left === 0) return undefined;
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) break;
      onProgress(`waiting for ${open} of ${orders.length} orders to be gone …`);
      await sleep(Math.min(pauseMs, leftMs), bounded);
    }
  } catch (error) {
    if (error !== late) return error;
  } finally {
    clearTimeout(timer);
  }
  for (const [at, order] of orders.entries()) {
    if (order.outcome === "requested") orders[at] = { ...order, outcome: "still_open" };
  }
  return undefined;
}

async function lookAtAll(alpaca: AlpacaClient, orders: StaleOrder[], signal: AbortSignal): Promise<void> {
  const isMany = orders.filter(isWaitedFor).length > WORTH_A_LIST;
  const open = new Map(
    isMany ? (await alpaca.getOrders({ status: "open" }, { signal })).map((one) => [one.id, one]) : [],
  );
  for (const [at, order] of orders.entries()) {
    if (!isWaitedFor(order)) continue;
    const listed = open.get(order.id);
    orders[at] = listed ? seen(order, listed) : await look(alpaca, order, signal);
  }
}

function isWaitedFor({ outcome }: StaleOrder): boolean {
  return outcome === "requested" || outcome === "unknown";
}

async function look(alpaca: AlpacaClient, order: StaleOrder, signal?: AbortSignal): Promise<StaleOrder> {
  try {
    return seen(order, await alpaca.getOrder(order.id, signal && { signal }));
  } catch (error) {
    if (error instanceof AlpacaError && error.status === 404) return { ...order, outcome: "gone", reason: null };
    throw error;
  }
}

/** An order with the state that Alpaca gives; its outcome is as before as long as that says nothing new. */
function seen(order: StaleOrder, { status, filled_qty }: Order): StaleOrder {
  const now = { ...order, status, filledQty: filled_qty ?? order.filledQty };
  if (status === "filled" || status === "canceled") return { ...now, outcome: status, reason: null };
  if (FINAL.has(status)) return { ...now, outcome: "gone", reason: null };
  return status === "pending_cancel" ? { ...now, outcome: "requested", reason: null } : now;
}
