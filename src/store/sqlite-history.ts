import type { DatabaseSync } from "node:sqlite";
import type { Transition } from "../breaker/state.ts";
import { type EntryRow, readEntry, writeEntry } from "./entry.ts";
import {
  type BreakerKey,
  CLAIM_MS,
  type HistoryEntry,
  OUTBOX_LIMITS,
  type Outbox,
  type OutboxSignal,
  type StoreContext,
} from "./store.ts";

const SIGNALS: readonly OutboxSignal[] = ["traces", "metrics", "logs"];

interface TransitionRow {
  event_id: string;
  name: string;
  host: string;
  at_ms: number;
  entry: string;
  traces: number;
  metrics: number;
  logs: number;
}

/** State changes in SQLite: how one is written, within the transaction of the state, and what is read and sent later. */
export function openHistory(db: DatabaseSync, context: StoreContext, now: () => number) {
  const remember = ({ name, host }: BreakerKey, transition: Transition): void => {
    const due = SIGNALS.map((signal) => (context.signals.includes(signal) ? 1 : 0));
    db.prepare(
      `INSERT INTO transitions (event_id, name, host, at_ms, entry, traces, metrics, logs, claimed_by, claimed_until_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ).run(
      transition.eventId,
      name,
      host,
      transition.at.getTime(),
      writeEntry(transition, context),
      ...due,
      context.run,
      now() + CLAIM_MS,
    );
  };
  const list = ({ name, sinceMs = 0 }: { readonly name?: string; readonly sinceMs?: number }) =>
    read(
      db
        .prepare("SELECT * FROM transitions WHERE at_ms >= ? AND (? IS NULL OR name = ?) ORDER BY at_ms")
        .all(sinceMs, name ?? null, name ?? null),
    );
  const outbox: Outbox = {
    claim: (most) => {
      db.exec("BEGIN IMMEDIATE");
      try {
        // Read when the file is ours: the wait for it may have been for another claim.
        const nowMs = now();
        // A claim that reaches further than any lease was made before the clock was set back.
        const rows = db
          .prepare(
            `SELECT * FROM transitions WHERE traces + metrics + logs > 0 AND claimed_by <> ?
             AND (claimed_until_ms <= ? OR claimed_until_ms > ?) ORDER BY at_ms LIMIT ?`,
          )
          .all(context.run, nowMs, nowMs + 2 * CLAIM_MS, most);
        const take = db.prepare("UPDATE transitions SET claimed_by = ?, claimed_until_ms = ? WHERE event_id = ?");
        for (const { event_id } of rows as unknown as TransitionRow[])
          take.run(context.run, nowMs + CLAIM_MS, event_id);
        const entries = read(rows);
        const unread = (rows as unknown as TransitionRow[]).filter(
          (row) => !entries.some(({ eventId }) => eventId === row.event_id),
        );
        for (const { event_id } of unread) {
          db.prepare("UPDATE transitions SET traces = 0, metrics = 0, logs = 0 WHERE event_id = ?").run(event_id);
          const message = `stored state change ${event_id} is corrupt: it is not sent, and stays in table transitions`;
          context.onProblem({ kind: "corrupt", message });
        }
        db.exec("COMMIT");
        return entries;
      } catch (error) {
        if (db.isTransaction) db.exec("ROLLBACK");
        throw error;
      }
    },
    acknowledge: (signal, eventIds) => {
      const note = db.prepare(`UPDATE transitions SET ${signal} = 0 WHERE event_id = ?`);
      db.exec("BEGIN IMMEDIATE");
      try {
        for (const eventId of eventIds) note.run(eventId);
        db.exec("COMMIT");
      } catch (error) {
        if (db.isTransaction) db.exec("ROLLBACK");
        throw error;
      }
    },
    size: () =>
      (
        db.prepare("SELECT count(*) AS size FROM transitions WHERE traces + metrics + logs > 0").get() as {
          size: number;
        }
      ).size,
    prune: () => {
      const old = now() - OUTBOX_LIMITS.ageMs;
      const excess = `event_id IN (SELECT event_id FROM transitions ORDER BY at_ms DESC LIMIT -1 OFFSET ${OUTBOX_LIMITS.entries})`;
      db.exec("BEGIN IMMEDIATE");
      try {
        const { dropped } = db
          .prepare(
            `SELECT count(*) AS dropped FROM transitions WHERE traces + metrics + logs > 0 AND (at_ms < ? OR ${excess})`,
          )
          .get(old) as { dropped: number };
        db.prepare(`DELETE FROM transitions WHERE at_ms < ? OR ${excess}`).run(old);
        db.exec("COMMIT");
        return dropped;
      } catch (error) {
        if (db.isTransaction) db.exec("ROLLBACK");
        throw error;
      }
    },
  };
  return { remember, list, outbox };
}

function read(rows: readonly unknown[]): HistoryEntry[] {
  const entries = (rows as TransitionRow[]).flatMap((row) => {
    const undelivered = SIGNALS.filter((signal) => row[signal] === 1);
    const entry: EntryRow = {
      eventId: row.event_id,
      name: row.name,
      host: row.host,
      atMs: row.at_ms,
      text: row.entry,
      undelivered,
    };
    return readEntry(entry) ?? [];
  });
  // Two changes may have come within one millisecond.
  return entries.sort((a, b) => a.at.getTime() - b.at.getTime() || a.generation - b.generation);
}
