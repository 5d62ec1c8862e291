import type { Transition } from "../breaker/state.ts";
import { readEntries, type TransitionRow, unreadable, writeEntry } from "./entry.ts";
import type { Database } from "./postgres-database.ts";
import type { Argument } from "./postgres-lane.ts";
import {
  type BreakerKey,
  CLAIM_MS,
  type HistoryEntry,
  OUTBOX_LIMITS,
  type Outbox,
  SIGNALS,
  type StoreContext,
} from "./store.ts";

/** Names a parameter of a statement. */
export type Parameter = (value: Argument, type: "text" | "double precision" | "boolean" | "bigint") => string;

/** The part of a statement that writes a state change, if there is a row in `written`. */
export function insertTransition(
  parameter: Parameter,
  { name, host }: BreakerKey,
  transition: Transition,
  context: StoreContext,
  nowMs: number,
): string {
  const values = [
    parameter(transition.eventId, "text"),
    parameter(name, "text"),
    parameter(host, "text"),
    parameter(transition.at.getTime(), "double precision"),
    parameter(writeEntry(transition, context), "text"),
    ...SIGNALS.map((signal) => parameter(context.signals.includes(signal), "boolean")),
    parameter(context.run, "text"),
    parameter(nowMs + CLAIM_MS, "double precision"),
  ];
  return `INSERT INTO breakwater.transitions
    (event_id, name, host, at_ms, entry, traces, metrics, logs, claimed_by, claimed_until_ms)
    SELECT ${values.join(", ")} FROM written`;
}

/** State changes since a time, oldest first. */
export async function listHistory(
  database: Database,
  { name, sinceMs = 0 }: { readonly name?: string; readonly sinceMs?: number },
): Promise<readonly HistoryEntry[]> {
  const rows = await database.use((lane) =>
    lane.query<TransitionRow>(
      "SELECT * FROM breakwater.transitions WHERE at_ms >= $1 AND ($2::text IS NULL OR name = $2)",
      [sinceMs, name ?? null],
    ),
  );
  return readEntries(rows);
}

/** State changes of the database that no collector has acknowledged yet. */
export function openOutbox(database: Database, context: StoreContext): Outbox {
  const query = <Row>(text: string, args: Argument[] = []) => database.use((lane) => lane.query<Row>(text, args));
  return {
    // A claim that reaches far beyond any lease was made before the clock was set back. Far: one that was made in the
    // same moment, by a clock that was read a little later, is as good as any.
    claim: async (most) => {
      const rows = await query<TransitionRow>(
        `WITH clock AS MATERIALIZED (SELECT breakwater.now_ms() AS now_ms), due AS (
           SELECT event_id FROM breakwater.transitions, clock
           WHERE (traces OR metrics OR logs) AND claimed_by <> $1
           AND (claimed_until_ms <= now_ms OR claimed_until_ms > now_ms + 2 * $2)
           ORDER BY at_ms LIMIT $3 FOR UPDATE OF transitions SKIP LOCKED)
         UPDATE breakwater.transitions t SET claimed_by = $1, claimed_until_ms = now_ms + $2
         FROM due, clock WHERE t.event_id = due.event_id RETURNING t.*`,
        [context.run, CLAIM_MS, most],
      );
      const bad: string[] = [];
      const entries = readEntries(rows, (eventId) => bad.push(eventId));
      for (const eventId of bad) {
        await query(
          "UPDATE breakwater.transitions SET traces = false, metrics = false, logs = false WHERE event_id = $1",
          [eventId],
        );
        context.onProblem(unreadable(eventId));
      }
      return entries;
    },
    acknowledge: async (signal, eventIds) => {
      if (eventIds.length === 0) return;
      // In one order, so that two who note the same changes do not wait for each other.
      await query(
        `UPDATE breakwater.transitions SET ${signal} = false WHERE event_id IN (
           SELECT event_id FROM breakwater.transitions
           WHERE event_id IN (SELECT jsonb_array_elements_text($1::text::jsonb)) ORDER BY event_id FOR UPDATE)`,
        [JSON.stringify(eventIds)],
      );
    },
    size: async () => {
      const [found] = await query<{ size: number }>(
        "SELECT count(*)::integer AS size FROM breakwater.transitions WHERE traces OR metrics OR logs",
      );
      return found?.size ?? 0;
    },
    prune: async () => {
      const [found] = await query<{ dropped: number }>(
        `WITH excess AS (
           SELECT event_id FROM breakwater.transitions
           WHERE at_ms < breakwater.now_ms() - $1 OR event_id IN (
             SELECT event_id FROM breakwater.transitions ORDER BY at_ms DESC OFFSET $2)
           FOR UPDATE SKIP LOCKED), dropped AS (
           DELETE FROM breakwater.transitions t USING excess e WHERE t.event_id = e.event_id
           RETURNING traces OR metrics OR logs AS is_due)
         SELECT count(*) FILTER (WHERE is_due)::integer AS dropped FROM dropped`,
        [OUTBOX_LIMITS.ageMs, OUTBOX_LIMITS.entries],
      );
      return found?.dropped ?? 0;
    },
  };
}
