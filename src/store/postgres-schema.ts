import { DatabaseError, type Lane } from "./postgres-lane.ts";
import { NewerSchemaError } from "./store.ts";

/** Migrations in order; `breakwater.migrations` says which ones were made. Never change one that was released. */
const MIGRATIONS = [
  `CREATE FUNCTION breakwater.now_ms() RETURNS double precision LANGUAGE sql VOLATILE AS
     'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::double precision';
   CREATE SEQUENCE breakwater.revisions;
   CREATE TABLE breakwater.breakers (name text, host text, generation bigint NOT NULL, row text NOT NULL,
     revision bigint NOT NULL DEFAULT nextval('breakwater.revisions'), PRIMARY KEY (name, host));
   CREATE TABLE breakwater.holds (name text, host text, reason text NOT NULL, held_by text NOT NULL,
     at_ms double precision NOT NULL, PRIMARY KEY (name, host));
   CREATE TABLE breakwater.quarantine (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL,
     host text NOT NULL, row text NOT NULL, at_ms double precision NOT NULL);
   CREATE TABLE breakwater.transitions (event_id text PRIMARY KEY, name text NOT NULL, host text NOT NULL,
     at_ms double precision NOT NULL, entry text NOT NULL, traces boolean NOT NULL, metrics boolean NOT NULL,
     logs boolean NOT NULL, claimed_by text NOT NULL, claimed_until_ms double precision NOT NULL);
   CREATE INDEX transitions_by_time ON breakwater.transitions (at_ms);
   CREATE INDEX transitions_undelivered ON breakwater.transitions (at_ms) WHERE traces OR metrics OR logs;
   CREATE TABLE breakwater.budgets (budget text PRIMARY KEY, paused_until_ms double precision NOT NULL DEFAULT 0);
   CREATE TABLE breakwater.budget_starts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, budget text NOT NULL,
     at_ms double precision NOT NULL);
   CREATE INDEX budget_starts_by_time ON breakwater.budget_starts (budget, at_ms);
   CREATE FUNCTION breakwater.reserve(which text, most bigint, window_ms double precision,
     OUT start_id bigint, OUT wait_ms double precision, OUT is_paused boolean) LANGUAGE plpgsql AS $$
   DECLARE
     paused double precision;
     blocking double precision;
     now_ms double precision;
     free double precision;
   BEGIN
     -- A place that a crash of the server forgets harms less than a flush to disk for every request.
     PERFORM set_config('synchronous_commit', 'off', true);
     INSERT INTO breakwater.budgets (budget) VALUES (which) ON CONFLICT DO NOTHING;
     SELECT b.paused_until_ms INTO paused FROM breakwater.budgets b WHERE b.budget = which FOR UPDATE;
     now_ms := breakwater.now_ms();
     -- What lies further ahead than any pause was noted before the clock was set back.
     IF paused > now_ms + 900000 THEN paused := NULL; END IF;
     -- What lies further ahead than any wait was promised before the clock was set back.
     DELETE FROM breakwater.budget_starts s
       WHERE s.budget = which AND (s.at_ms <= now_ms - window_ms OR s.at_ms > now_ms + window_ms);
     SELECT s.at_ms INTO blocking FROM breakwater.budget_starts s
       WHERE s.budget = which ORDER BY s.at_ms DESC LIMIT 1 OFFSET most - 1;
     free := greatest(now_ms, blocking + window_ms, paused);
     wait_ms := free - now_ms;
     is_paused := free = paused;
     IF wait_ms <= window_ms THEN
       INSERT INTO breakwater.budget_starts (budget, at_ms) VALUES (which, free) RETURNING id INTO start_id;
     END IF;
   END $$;`,
];

/** Schema that this toolkit knows. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/** Any number that nobody else locks by: the letters of "breakwat". */
const LOCK = "7093843832151171444";
/** Migrating may wait for another process that does the same. */
const MIGRATION_MS = 10_000;

/** Brings the database to the current schema. @throws {NewerSchemaError | DatabaseError} */
export async function migrate(lane: Lane): Promise<void> {
  if ((await versionOf(lane)) === SCHEMA_VERSION) return;
  const run = <Row>(text: string) => lane.query<Row>(text, [], MIGRATION_MS);
  await run(`BEGIN; SET LOCAL statement_timeout = ${MIGRATION_MS}`);
  await run(`SELECT pg_advisory_xact_lock(${LOCK})`);
  // Who may create no schema can still be given one.
  const [found] = await run<{ id: string | null }>("SELECT to_regnamespace('breakwater')::text AS id");
  if (!found?.id) await run("CREATE SCHEMA breakwater");
  await run(
    `CREATE TABLE IF NOT EXISTS breakwater.migrations
       (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())`,
  );
  const version = await versionOf(lane);
  for (const [at, migration] of MIGRATIONS.entries()) {
    if (at >= version) await run(`${migration}; INSERT INTO breakwater.migrations (version) VALUES (${at + 1})`);
  }
  await run("COMMIT");
}

async function versionOf(lane: Lane): Promise<number> {
  let version = 0;
  try {
    const [found] = await lane.query<{ version: number | null }>(
      "SELECT max(version) AS version FROM breakwater.migrations",
    );
    version = found?.version ?? 0;
  } catch (error) {
    if (!(error instanceof DatabaseError && error.code === UNDEFINED_TABLE)) throw error;
  }
  if (version > SCHEMA_VERSION) {
    throw new NewerSchemaError(`it has schema ${version}, and this toolkit knows ${SCHEMA_VERSION}; upgrade it`);
  }
  return version;
}

const UNDEFINED_TABLE = "42P01";
