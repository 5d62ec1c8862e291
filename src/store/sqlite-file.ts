import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { NewerSchemaError } from "./store.ts";

/** Migrations in order; the file's `user_version` says how many it has had. Never change one that was released. */
const MIGRATIONS = [
  `CREATE TABLE breakers (name TEXT NOT NULL, host TEXT NOT NULL, generation INTEGER NOT NULL, row TEXT NOT NULL,
     PRIMARY KEY (name, host)) WITHOUT ROWID;
   CREATE TABLE holds (name TEXT NOT NULL, host TEXT NOT NULL, reason TEXT NOT NULL, held_by TEXT NOT NULL,
     at_ms REAL NOT NULL, PRIMARY KEY (name, host)) WITHOUT ROWID;
   CREATE TABLE quarantine (name TEXT NOT NULL, host TEXT NOT NULL, row TEXT NOT NULL, at_ms REAL NOT NULL);
   CREATE TABLE transitions (event_id TEXT PRIMARY KEY, name TEXT NOT NULL, host TEXT NOT NULL, at_ms REAL NOT NULL,
     entry TEXT NOT NULL, traces INTEGER NOT NULL, metrics INTEGER NOT NULL, logs INTEGER NOT NULL,
     claimed_by TEXT NOT NULL, claimed_until_ms REAL NOT NULL) WITHOUT ROWID;
   CREATE INDEX transitions_by_time ON transitions (at_ms);
   CREATE INDEX transitions_undelivered ON transitions (at_ms) WHERE traces + metrics + logs > 0;
   CREATE TABLE budget_starts (id INTEGER PRIMARY KEY, budget TEXT NOT NULL, at_ms REAL NOT NULL);
   CREATE INDEX budget_starts_by_time ON budget_starts (budget, at_ms);
   CREATE TABLE budgets (budget TEXT PRIMARY KEY, starts INTEGER NOT NULL, paused_until_ms REAL NOT NULL) WITHOUT ROWID;`,
];

/** Schema that this toolkit knows. */
export const SCHEMA_VERSION = MIGRATIONS.length;

const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

const RETRY_MS = 20;
const STALE_MS = 5_000;

/** How long a writer waits for another one. Scripts write for microseconds; a stuck one must not stop the others. */
const BUSY_MS = 2_000;

/**
 * Opens the file, with its folder, and brings it to the current schema. A file that is no database of ours is moved
 * aside, and `onCorrupt` is told where. Many may do this at the same moment.
 *
 * @throws {NewerSchemaError} and whatever the file system or SQLite have to say.
 */
export function openSqliteFile(path: string, onCorrupt: (copy: string) => void): DatabaseSync {
  createFolder(dirname(path));
  const deadlineMs = performance.now() + BUSY_MS;
  for (;;) {
    const id = fileId(path);
    try {
      return open(path);
    } catch (error) {
      if (isCorruption(error)) {
        const copy = moveAside(path, id);
        if (copy !== null) onCorrupt(copy);
      } else if (!isPassing(error) || performance.now() > deadlineMs) {
        throw error;
      }
      if (performance.now() > deadlineMs) throw error;
      pause(RETRY_MS);
    }
  }
}

/** As `mkdir -p`. Node's own never returns where the system denies a new folder as ENOENT, as in /proc. */
function createFolder(path: string, isParentThere = false): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    if (code !== "ENOENT" || isParentThere || dirname(path) === path) throw error;
    createFolder(dirname(path));
    createFolder(path, true);
  }
}

/** What tells a file from another one that took its name; null when there is none. */
export function fileId(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? null;
}

/**
 * Moves a damaged file out of the way, with all that belongs to it, and returns the name of the copy. Null when it is
 * no longer there, or another process is at it: what has its name next may be whole.
 */
export function moveAside(path: string, id: number | null): string | null {
  const lock = `${path}.repair`;
  try {
    closeSync(openSync(lock, "wx"));
  } catch {
    // Whoever made the lock may have died with it.
    const madeMs = statSync(lock, { throwIfNoEntry: false })?.mtimeMs;
    if (madeMs !== undefined && Date.now() - madeMs > STALE_MS) rmSync(lock, { force: true });
    return null;
  }
  try {
    if (id === null || fileId(path) !== id) return null;
    const copy = `${path}.corrupt-${new Date().toISOString().replaceAll(":", "-")}`;
    for (const suffix of ["-wal", "-shm", ""]) {
      if (existsSync(`${path}${suffix}`)) renameSync(`${path}${suffix}`, `${copy}${suffix}`);
    }
    return copy;
  } finally {
    rmSync(lock, { force: true });
  }
}

function open(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  try {
    db.exec(`PRAGMA busy_timeout = ${BUSY_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL`);
    migrate(db, path);
    checkTables(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function migrate(db: DatabaseSync, path: string): void {
  if (versionOf(db) === SCHEMA_VERSION) return;
  transact(db, () => {
    // Another process may have been here in the meantime.
    const version = versionOf(db);
    if (version > SCHEMA_VERSION) {
      throw new NewerSchemaError(`${path} has schema ${version}, and this toolkit knows ${SCHEMA_VERSION}; upgrade it`);
    }
    for (const migration of MIGRATIONS.slice(version)) db.exec(migration);
    db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  });
}

const TABLES = ["breakers", "holds", "quarantine", "transitions", "budget_starts", "budgets"];

/** A file that says it has our schema and lacks a part of it is as good as damaged. */
function checkTables(db: DatabaseSync): void {
  const found = db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
    .all()
    .map(({ name }) => name);
  const missing = TABLES.filter((table) => !found.includes(table));
  if (missing.length > 0) {
    throw Object.assign(new Error(`table ${missing.join(", ")} is missing`), { errcode: SQLITE_CORRUPT });
  }
}

/** Does `work` in one transaction that nobody else writes beside: all of it is stored, or nothing. */
export function transact<T>(db: DatabaseSync, work: () => T): T {
  db.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

/** Waits without a turn of the event loop: opening is part of what happens before anything else. */
function pause(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}

function versionOf(db: DatabaseSync): number {
  return Number((db.prepare("PRAGMA user_version").get() as { user_version: number }).user_version);
}

/** Whether the database itself is damaged, and not only out of reach. */
export function isCorruption(error: unknown): boolean {
  return [SQLITE_CORRUPT, SQLITE_NOTADB].includes(resultCode(error));
}

/** Whether it may be over in a moment: another process creates the file, or moves it aside. */
function isPassing(error: unknown): boolean {
  if ((error as NodeJS.ErrnoException).code === "ENOENT") return true;
  return [SQLITE_BUSY, SQLITE_LOCKED, SQLITE_IOERR].includes(resultCode(error));
}

/** What `exec` throws on Deno (2.9.6) has SQLite's words, and no code. */
const IN_WORDS: readonly (readonly [RegExp, number])[] = [
  [/not a database/, SQLITE_NOTADB],
  [/malformed/, SQLITE_CORRUPT],
  [/is locked/, SQLITE_BUSY],
  [/disk I\/O error/, SQLITE_IOERR],
];

function resultCode(error: unknown): number {
  const { errcode, message = "" } = error as { errcode?: number; message?: string };
  return (errcode ?? IN_WORDS.find(([words]) => words.test(message))?.[1] ?? 0) & 0xff;
}
