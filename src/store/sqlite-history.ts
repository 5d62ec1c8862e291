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
        .prepare(
          "SELECT * FROM transitions WHERE at_ms >= ? AND (? IS NULL OR name = ?) ORDER BY at_ms, json_extract(entry, '$.generation')",
        )
        .all(sinceMs, name ?? null, name ?? null),
    );
  const outbox: Outbox = {
    claim: (most) => {
      const nowMs = now();
      db.exec("BEGIN IMMEDIATE");
      try {
        // A claim that reaches further than any lease was made before the clock was set back.
        const rows = db
          .prepare(
            `SELECT * FROM transitions WHERE traces + metrics + logs > 0 AND claimed_by <> ?
             AND (claimed_until_ms <= ? OR claimed_until_ms > ?) ORDER BY at_ms LIMIT ?`,
          )
          .all(context.run, nowMs, nowMs + CLAIM_MS, most);
        const take = db.prepare("UPDATE transitions SET claimed_by = ?, claimed_until_ms = ? WHERE event_id = ?");
        for (const { event_id } of rows as unknown as TransitionRow[])
          take.run(context.run, nowMs + CLAIM_MS, event_id);
        db.exec("COMMIT");
        return read(rows);
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
      const { dropped } = db
        .prepare(
          `SELECT count(*) AS dropped FROM transitions WHERE traces + metrics + logs > 0 AND (at_ms < ? OR ${excess})`,
        )
        .get(old) as { dropped: number };
      db.prepare(`DELETE FROM transitions WHERE at_ms < ? OR ${excess}`).run(old);
      return dropped;
    },
  };
  return { remember, list, outbox };
}

function read(rows: readonly unknown[]): HistoryEntry[] {
  return (rows as TransitionRow[]).flatMap((row) => {
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
}
