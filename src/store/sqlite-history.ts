import type { DatabaseSync } from "node:sqlite";
import type { Transition } from "../breaker/state.ts";
import { readEntries, type TransitionRow, unreadable, writeEntry } from "./entry.ts";
import { transact } from "./sqlite-file.ts";
import { type BreakerKey, CLAIM_MS, OUTBOX_LIMITS, type Outbox, SIGNALS, type StoreContext } from "./store.ts";

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
  const rowsOf = (text: string, ...values: (string | number | null)[]) =>
    db.prepare(text).all(...values) as unknown as TransitionRow[];
  const list = ({ name, sinceMs = 0 }: { readonly name?: string; readonly sinceMs?: number }) =>
    readEntries(
      rowsOf(
        "SELECT * FROM transitions WHERE at_ms >= ? AND (? IS NULL OR name = ?)",
        sinceMs,
        name ?? null,
        name ?? null,
      ),
    );
  const outbox: Outbox = {
    claim: (most) =>
      transact(db, () => {
        // Read when the file is ours: the wait for it may have been for another claim.
        const nowMs = now();
        // A claim that reaches further than any lease was made before the clock was set back.
        const rows = rowsOf(
          `SELECT * FROM transitions WHERE traces + metrics + logs > 0 AND claimed_by <> ?
           AND (claimed_until_ms <= ? OR claimed_until_ms > ?) ORDER BY at_ms LIMIT ?`,
          ...[context.run, nowMs, nowMs + 2 * CLAIM_MS, most],
        );
        const take = db.prepare("UPDATE transitions SET claimed_by = ?, claimed_until_ms = ? WHERE event_id = ?");
        for (const { event_id } of rows) take.run(context.run, nowMs + CLAIM_MS, event_id);
        return readEntries(rows, (eventId) => {
          db.prepare("UPDATE transitions SET traces = 0, metrics = 0, logs = 0 WHERE event_id = ?").run(eventId);
          context.onProblem(unreadable(eventId));
        });
      }),
    acknowledge: (signal, eventIds) => {
      const note = db.prepare(`UPDATE transitions SET ${signal} = 0 WHERE event_id = ?`);
      transact(db, () => {
        for (const eventId of eventIds) note.run(eventId);
      });
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
      return transact(db, () => {
        const { dropped } = db
          .prepare(
            `SELECT count(*) AS dropped FROM transitions WHERE traces + metrics + logs > 0 AND (at_ms < ? OR ${excess})`,
          )
          .get(old) as { dropped: number };
        db.prepare(`DELETE FROM transitions WHERE at_ms < ? OR ${excess}`).run(old);
        return dropped;
      });
    },
  };
  return { remember, list, outbox };
}
