import * as v from "valibot";
import { causeKind } from "../breaker/cause.ts";
import type { Transition } from "../breaker/state.ts";
import type { SignalName } from "../config/config.ts";
import { type BreakerKey, type HistoryEntry, SIGNALS, type StoreContext, type StoreProblem } from "./store.ts";

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

/** A row of the table of state changes; a signal is true, or 1, while no collector has taken the change. */
export interface TransitionRow extends BreakerKey, Readonly<Record<SignalName, boolean | number>> {
  readonly event_id: string;
  readonly at_ms: number;
  readonly entry: string;
}

/** Reads state changes, oldest first, and tells `onUnreadable` the event ids of those that are none. */
export function readEntries(
  rows: readonly TransitionRow[],
  onUnreadable: (eventId: string) => void = () => {},
): HistoryEntry[] {
  const entries = rows.flatMap((row) => {
    const entry = readEntry(row);
    if (entry === null) onUnreadable(row.event_id);
    return entry ?? [];
  });
  // Two changes may have come within one millisecond.
  return entries.sort((a, b) => a.at.getTime() - b.at.getTime() || a.generation - b.generation);
}

/** What is said of a state change that cannot be read. */
export function unreadable(eventId: string): StoreProblem {
  const message = `stored state change ${eventId} is corrupt: it is not sent, and stays in table transitions`;
  return { kind: "corrupt", message };
}

function readEntry(row: TransitionRow): HistoryEntry | null {
  let json: unknown;
  try {
    json = JSON.parse(row.entry);
  } catch {
    return null;
  }
  const parsed = v.safeParse(Entry, json);
  if (!parsed.success) return null;
  const { span: own, ...entry } = parsed.output;
  const { traceId = null, spanId = null } = own ?? {};
  const undelivered = SIGNALS.filter((signal) => row[signal]);
  const { event_id: eventId, name: breaker, host, at_ms: atMs } = row;
  return { eventId, breaker, host, at: new Date(atMs), ...entry, traceId, spanId, undelivered };
}
