import * as v from "valibot";

// Only what a script reads is required, and unknown fields are kept: Alpaca adds and removes fields.
// Numbers stay strings, as Alpaca sends them: a float would round money.
const DECIMAL = "a decimal number as text";
const decimal = v.pipe(v.string(DECIMAL), v.regex(/^-?\d+(?:\.\d+)?$/, DECIMAL));
const flag = v.optional(v.nullable(v.boolean()));

export const Account = v.looseObject({
  id: v.string(),
  status: v.string(),
  currency: v.optional(v.nullable(v.string())),
  cash: v.optional(v.nullable(decimal)),
  equity: v.optional(v.nullable(decimal)),
  buying_power: v.optional(v.nullable(decimal)),
  trading_blocked: flag,
  account_blocked: flag,
  transfers_blocked: flag,
  trade_suspended_by_user: flag,
});
export type Account = v.InferOutput<typeof Account>;

export const Clock = v.looseObject({
  timestamp: v.string(),
  is_open: v.boolean(),
  next_open: v.string(),
  next_close: v.string(),
});
export type Clock = v.InferOutput<typeof Clock>;

export const CalendarDay = v.looseObject({ date: v.string(), open: v.string(), close: v.string() });
export type CalendarDay = v.InferOutput<typeof CalendarDay>;

export const Position = v.looseObject({
  asset_id: v.optional(v.string()),
  symbol: v.string(),
  qty: decimal,
  side: v.optional(v.string()),
  avg_entry_price: v.optional(v.nullable(decimal)),
  market_value: v.optional(v.nullable(decimal)),
  unrealized_pl: v.optional(v.nullable(decimal)),
});
export type Position = v.InferOutput<typeof Position>;

export const Order = v.looseObject({
  id: v.pipe(v.string(), v.nonEmpty()),
  client_order_id: v.optional(v.string()),
  // A multi-leg order has no symbol and no side of its own.
  symbol: v.optional(v.nullable(v.string())),
  side: v.optional(v.nullable(v.string())),
  type: v.optional(v.nullable(v.string())),
  status: v.string(),
  qty: v.optional(v.nullable(decimal)),
  notional: v.optional(v.nullable(decimal)),
  filled_qty: v.optional(v.nullable(decimal)),
  limit_price: v.optional(v.nullable(decimal)),
  created_at: v.optional(v.nullable(v.string())),
  submitted_at: v.optional(v.nullable(v.string())),
});
export type Order = v.InferOutput<typeof Order>;

export const Bars = v.looseObject({ bars: v.nullable(v.array(v.unknown())) });

/** Body of an answer that is an error. */
export const ErrorBody = v.object({ code: v.optional(v.number()), message: v.optional(v.string()) });
