import { mkdirSync, renameSync, statSync } from "node:fs";
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

/** How long a writer waits for another one. Scripts write for microseconds; a stuck one must not stop the others. */
const BUSY_MS = 2_000;

/**
 * Opens the file, with its folder, and brings it to the current schema. A file that is no database is moved aside, and
 * `onCorrupt` is told where.
 *
 * @throws {NewerSchemaError} and whatever the file system or SQLite have to say.
 */
export function openSqliteFile(path: string, onCorrupt: (copy: string) => void): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true });
  const id = fileId(path);
  try {
    return open(path);
  } catch (error) {
    if (!isCorruption(error)) throw error;
    const copy = moveAside(path, id);
    if (copy !== null) onCorrupt(copy);
    return open(path);
  }
}

/** What tells a file from another one that took its name; null when there is none. */
export function fileId(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? null;
}

/**
 * Moves a damaged file out of the way, with all that belongs to it, and returns the name of the copy. Null when it is
 * no longer there: another process was faster, and what has its name now may be whole.
 */
export function moveAside(path: string, id: number | null): string | null {
  if (id !== null && fileId(path) !== id) return null;
  const copy = `${path}.corrupt-${new Date().toISOString().replaceAll(":", "-")}`;
  renameSync(path, copy);
  for (const suffix of ["-wal", "-shm"]) {
    try {
      renameSync(`${path}${suffix}`, `${copy}${suffix}`);
    } catch {
      // Not every file has them.
    }
  }
  return copy;
}

function open(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  try {
    db.exec(`PRAGMA busy_timeout = ${BUSY_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL`);
    // A schema that cannot be read shows here, and not at some later statement.
    db.prepare("SELECT count(*) FROM sqlite_schema").get();
    migrate(db, path);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function migrate(db: DatabaseSync, path: string): void {
  if (versionOf(db) === SCHEMA_VERSION) return;
  db.exec("BEGIN IMMEDIATE");
  try {
    // Another process may have been here in the meantime.
    const version = versionOf(db);
    if (version > SCHEMA_VERSION) {
      throw new NewerSchemaError(`${path} has schema ${version}, and this toolkit knows ${SCHEMA_VERSION}; upgrade it`);
    }
    for (const migration of MIGRATIONS.slice(version)) db.exec(migration);
    db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    db.exec("COMMIT");
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}

function versionOf(db: DatabaseSync): number {
  return Number((db.prepare("PRAGMA user_version").get() as { user_version: number }).user_version);
}

const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** Whether the database itself is damaged, and not only out of reach. */
export function isCorruption(error: unknown): boolean {
  const { errcode } = error as { errcode?: number };
  return errcode === SQLITE_CORRUPT || errcode === SQLITE_NOTADB;
}
