import * as v from "valibot";
import { causeKind } from "../breaker/cause.ts";
import type { Transition } from "../breaker/state.ts";
import type { BreakerKey, HistoryEntry, OutboxSignal, StoreContext } from "./store.ts";

const state = v.picklist(["closed", "open", "half_open", "isolated"]);
const span = v.nullable(v.object({ traceId: v.string(), spanId: v.string() }));

const Entry = v.object({
  from: state,
  to: state,
  reason: v.picklist([
    "failure_threshold",
    "failure_ratio",
    "cooldown_elapsed",
    "probe_succeeded",
    "probe_failed",
    "operator",
  ]),
  generation: v.number(),
  cause: v.nullable(v.string()),
  operator: v.nullable(v.object({ by: v.string(), reason: v.string() })),
  outageMs: v.nullable(v.number()),
  serverAddress: v.nullable(v.string()),
  script: v.string(),
  run: v.string(),
  span,
  parentSpanId: v.nullable(v.string()),
  call: span,
});

/** A state change as text, with who made it. */
export function writeEntry(transition: Transition, { script, run, parentSpanId }: StoreContext): string {
  const { from, to, reason, generation, operator, outageMs, serverAddress, call } = transition;
  const cause = causeKind(transition.cause);
  const entry: v.InferOutput<typeof Entry> = {
    ...{ from, to, reason, generation, cause, operator, outageMs, serverAddress },
    ...{ script, run, span: transition.span, parentSpanId, call },
  };
  return JSON.stringify(entry);
}

/** What a row of the table of state changes says besides its text. */
export interface EntryRow extends BreakerKey {
  readonly eventId: string;
  readonly atMs: number;
  readonly text: string;
  readonly undelivered: readonly OutboxSignal[];
}

/** Reads a state change; null when its text is none. */
export function readEntry({ eventId, name, host, atMs, text, undelivered }: EntryRow): HistoryEntry | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = v.safeParse(Entry, json);
  if (!parsed.success) return null;
  const { span: own, ...entry } = parsed.output;
  const { traceId = null, spanId = null } = own ?? {};
  return { eventId, breaker: name, host, at: new Date(atMs), ...entry, traceId, spanId, undelivered };
}
