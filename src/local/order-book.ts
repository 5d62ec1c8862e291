import { formatTimeNs, parseTimeNs } from "./nanosecond-time.ts";
import { isFinal, type OrderEntry, type OrderInput, type SimulatedOrder } from "./order.ts";
import { listOrders, type OrderQuery } from "./order-query.ts";
import { ApiProblem } from "./reply.ts";
import { seededRandom, seededUuid } from "./seeded-random.ts";

/** Orders of the simulated account. A cancel takes effect `cancelDelayMs` after it was requested, by the clock `now`. */
export class OrderBook {
  readonly #entries: OrderEntry[] = [];
  readonly #now: () => number;
  readonly #cancelDelayMs: number;
  readonly #random = seededRandom("orders");
  #sequence = 0;

  constructor(now: () => number, cancelDelayMs: number) {
    this.#now = now;
    this.#cancelDelayMs = cancelDelayMs;
  }

  /** Throws when the order's id or client order id is known already. */
  add(input: OrderInput): SimulatedOrder {
    return view(this.#add(input, false), true);
  }

  /** Changes fields of an order, such as its status to `filled`. Throws when the id is unknown. */
  update(id: string, changes: Partial<Omit<SimulatedOrder, "id" | "legs">>): SimulatedOrder {
    const entry = this.#find(id);
    entry.order = { ...entry.order, updated_at: this.#timestamp(), ...changes };
    if (entry.order.status !== "pending_cancel") entry.cancelDueMs = null;
    return view(entry, true);
  }

  /** Throws ApiProblem 404 when the id is unknown. */
  get(id: string, nested: boolean): SimulatedOrder {
    return view(this.#find(id), nested);
  }

  byClientOrderId(clientOrderId: string): SimulatedOrder | undefined {
    const entry = this.#settled().find(({ order }) => order.client_order_id === clientOrderId);
    return entry && view(entry, true);
  }

  list(query: OrderQuery): SimulatedOrder[] {
    return listOrders(this.#settled(), query).map((entry) => view(entry, query.nested));
  }

  /** Every order, legs as orders of their own, in the order in which they were added. */
  all(): SimulatedOrder[] {
    return this.#settled().map((entry) => view(entry, false));
  }

  /** Requests a cancel. Throws ApiProblem 404 for an unknown id, 422 for an order that cannot be cancelled. */
  cancel(id: string): void {
    const entry = this.#find(id);
    const { status } = entry.order;
    if (isFinal(status) || status === "pending_replace") {
      throw new ApiProblem(422, 42_210_000, `order is already in "${status}" state`);
    }
    for (const one of [entry, ...entry.legs]) {
      if (isFinal(one.order.status) || one.order.status === "pending_cancel") continue;
      one.order = { ...one.order, status: "pending_cancel", updated_at: this.#timestamp() };
      one.cancelDueMs = this.#now() + this.#cancelDelayMs;
    }
  }

  /** Requests a cancel of every open order; one result for each, with the status that a single cancel would have. */
  cancelAll(): { id: string; status: number; body?: unknown }[] {
    const open = this.#settled().filter(({ order, isLeg }) => !isFinal(order.status) && !isLeg);
    return open.map(({ order: { id } }) => {
      try {
        this.cancel(id);
        return { id, status: 200 };
      } catch (error) {
        if (!(error instanceof ApiProblem)) throw error;
        return { id, status: error.status, body: { code: error.code, message: error.message } };
      }
    });
  }

  #add(input: OrderInput, isLeg: boolean): OrderEntry {
    const { legs = [], ...fields } = input;
    const order = this.#complete(fields);
    for (const key of ["id", "client_order_id"] as const) {
      if (this.#entries.some((entry) => entry.order[key] === order[key])) {
        throw new Error(`Cannot add order: ${key} ${order[key]} is taken`);
      }
    }
    const entry: OrderEntry = { order, legs: [], isLeg, cancelDueMs: null };
    this.#entries.push(entry);
    const added = legs.map((leg) =>
      this.#add({ submitted_at: order.submitted_at, symbol: order.symbol, ...leg }, true),
    );
    return Object.assign(entry, { legs: added });
  }

  #complete(fields: Omit<OrderInput, "legs">): SimulatedOrder {
    const at = fields.submitted_at ?? this.#timestamp();
    if (parseTimeNs(at) === null) throw new Error(`Cannot add order: submitted_at ${at} is not an RFC 3339 timestamp`);
    const type = fields.type ?? fields.order_type ?? "limit";
    const symbol = fields.symbol ?? "AAPL";
    return {
      id: seededUuid(this.#random),
      client_order_id: seededUuid(this.#random),
      created_at: at,
      updated_at: at,
      submitted_at: at,
      filled_at: null,
      expired_at: null,
      canceled_at: null,
      failed_at: null,
      replaced_at: null,
      replaced_by: null,
      replaces: null,
      asset_id: seededUuid(seededRandom(symbol)),
      symbol,
      asset_class: symbol.includes("/") ? "crypto" : "us_equity",
      notional: null,
      qty: fields.notional == null ? "1" : null,
      filled_qty: "0",
      filled_avg_price: null,
      order_class: "",
      order_type: type,
      type,
      side: "buy",
      time_in_force: "day",
      limit_price: type === "limit" || type === "stop_limit" ? "100" : null,
      stop_price: null,
      status: "new",
      extended_hours: false,
      legs: null,
      trail_percent: null,
      trail_price: null,
      hwm: null,
      ...fields,
    };
  }

  #find(id: string): OrderEntry {
    const found = this.#settled().find(({ order }) => order.id === id);
    if (found === undefined) throw new ApiProblem(404, 40_410_000, `order not found for ${id}`);
    return found;
  }

  #settled(): readonly OrderEntry[] {
    const nowMs = this.#now();
    for (const entry of this.#entries) {
      if (entry.cancelDueMs === null || entry.cancelDueMs > nowMs) continue;
      const at = formatTimeNs(BigInt(Math.floor(entry.cancelDueMs)) * 1_000_000n);
      entry.order = { ...entry.order, status: "canceled", canceled_at: at, updated_at: at };
      entry.cancelDueMs = null;
    }
    return this.#entries;
  }

  // The sequence keeps two orders of one millisecond apart, in the order in which they came.
  #timestamp(): string {
    this.#sequence += 1;
    return formatTimeNs(BigInt(Math.floor(this.#now())) * 1_000_000n + BigInt(this.#sequence % 1_000_000));
  }
}

function view(entry: OrderEntry, nested: boolean): SimulatedOrder {
  return nested && entry.legs.length > 0
    ? { ...entry.order, legs: entry.legs.map((leg) => view(leg, true)) }
    : entry.order;
}
