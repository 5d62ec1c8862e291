import { readRow } from "./row.ts";
import { SqliteBudget } from "./sqlite-budget.ts";
import { SqliteCell } from "./sqlite-cell.ts";
import { fileId, isCorruption, moveAside, openSqliteFile } from "./sqlite-file.ts";
import { openHistory } from "./sqlite-history.ts";
import type { BreakerKey, Store, StoreContext } from "./store.ts";

/**
 * State in one SQLite file, shared by every script of this machine, on node, tsx and Deno alike.
 *
 * @throws whatever keeps the file from being opened; a damaged one is moved aside and reported instead.
 */
export function openSqlite(path: string, context: StoreContext): Store {
  const now = context.now ?? (() => Date.now());
  const db = openSqliteFile(path, (copy) =>
    context.onProblem({
      kind: "corrupt",
      message: `state file ${path} is corrupt: breakers start closed, and a copy is ${copy}`,
    }),
  );
  const id = fileId(path);
  let isReported = false;
  const unreachable = (error: unknown) => {
    if (isReported) return;
    isReported = true;
    const why = error instanceof Error ? error.message : String(error);
    const memory = "this run goes on with its own memory";
    if (!isCorruption(error)) {
      context.onProblem({ kind: "unreachable", message: `state file ${path} cannot be used (${why}): ${memory}` });
      return;
    }
    // The next run begins anew; what others have open goes on under its new name.
    let copy: string | null = null;
    try {
      copy = moveAside(path, id);
    } catch {
      // It may not be moved, and stays where it is.
    }
    context.onProblem({
      kind: "corrupt",
      message: `state file ${path} is corrupt (${why}): ${memory}, and a copy is ${copy ?? path}`,
    });
  };
  const history = openHistory(db, context, now);
  return {
    scope: "machine",
    now,
    cell: (key) => new SqliteCell({ db, context, now, remember: history.remember, unreachable }, key),
    budget: (host, account, limit) => new SqliteBudget(db, `${host} ${account}`, limit, now, unreachable),
    breakers: () =>
      (
        db
          .prepare(
            `SELECT k.name, k.host, b.row, h.reason, h.held_by, h.at_ms
             FROM (SELECT name, host FROM breakers UNION SELECT name, host FROM holds) k
             LEFT JOIN breakers b USING (name, host) LEFT JOIN holds h USING (name, host) ORDER BY k.name, k.host`,
          )
          .all() as unknown as (BreakerKey & {
          row: string | null;
          reason: string | null;
          held_by: string;
          at_ms: number;
        })[]
      ).flatMap(({ name, host, row, reason, held_by, at_ms }) => {
        const record = readRow(row, reason === null ? null : { reason, by: held_by, atMs: at_ms });
        return record ? [{ name, host, record }] : [];
      }),
    history: history.list,
    outbox: history.outbox,
    close: () => db.close(),
  };
}
