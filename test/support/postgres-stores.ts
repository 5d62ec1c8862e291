import { after, type TestContext } from "node:test";
import postgres from "postgres";
import { CircuitBreaker } from "../../src/breaker/circuit-breaker.ts";
import type { CircuitBreakerOptions } from "../../src/breaker/options.ts";
import { Secret } from "../../src/config/secret.ts";
import { openPostgres } from "../../src/store/postgres.ts";
import type { BreakerKey, Store, StoreContext, StoreProblem } from "../../src/store/store.ts";
import { poll } from "./poll.ts";
import { type PostgresServer, startPostgres } from "./postgres.ts";

export const KEY: BreakerKey = { name: "alpaca.trading", host: "paper-api.alpaca.markets" };
export const COOLDOWN_MS = 60_000;

/** A store as one process of a fleet has it. */
export interface Member {
  readonly store: Store;
  readonly problems: StoreProblem[];
  readonly breaker: (options?: Partial<CircuitBreakerOptions>, key?: BreakerKey) => CircuitBreaker;
}

/** One database, and who shares it. */
export interface Fleet {
  readonly url: string;
  readonly join: (context?: Partial<StoreContext>, url?: string) => Promise<Member>;
  readonly query: <Row>(text: string, args?: (string | number)[]) => Promise<Row[]>;
  /** All rows that are stored, as text, by their table. */
  readonly rows: () => Promise<Record<string, string[]>>;
  /** Sets the server's clock forward, which all members come to know of. */
  readonly advance: (durationMs: number) => Promise<void>;
}

/** A server for the tests of a file, which is stopped after them. */
export function serverForTests(options: { tls?: boolean } = {}): () => Promise<PostgresServer> {
  let server: Promise<PostgresServer> | undefined;
  after(async () => (await server)?.remove());
  return () => {
    server ??= startPostgres(options);
    return server;
  };
}

/** An empty database; everything that is opened on it is closed after the test. */
export async function newFleet(t: TestContext, server: PostgresServer): Promise<Fleet> {
  const url = await server.newDatabase();
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  const members = new Set<Member>();
  t.after(async () => {
    await Promise.all([...members].map(({ store }) => store.close()));
    await sql.end({ timeout: 1 });
  });
  const query = async <Row>(text: string, args: (string | number)[] = []) =>
    [...(await sql.unsafe(text, args))] as unknown as Row[];
  return {
    url,
    query,
    rows: async () => {
      const tables = await query<{ name: string }>(
        "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'breakwater' ORDER BY 1",
      );
      const all: Record<string, string[]> = {};
      for (const { name } of tables) {
        const found = await query<{ row: string }>(`SELECT t::text AS row FROM breakwater.${name} t ORDER BY 1`);
        all[name] = found.map(({ row }) => row);
      }
      return all;
    },
    join: async (context = {}, at = url) => {
      const opened = await openMember(at, context);
      const close = async () => {
        members.delete(member);
        await opened.store.close();
      };
      const member: Member = { ...opened, store: { ...opened.store, close } };
      members.add(member);
      return member;
    },
    advance: async (durationMs) => {
      await query(
        `CREATE TABLE IF NOT EXISTS breakwater.test_shift (ms double precision);
         CREATE OR REPLACE FUNCTION breakwater.now_ms() RETURNS double precision LANGUAGE sql VOLATILE AS
           'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000) + coalesce(sum(ms), 0) FROM breakwater.test_shift'`,
      );
      await query("INSERT INTO breakwater.test_shift VALUES ($1)", [durationMs]);
      await query("NOTIFY breakwater, 'the clock'");
      await poll("all members to know the time", async () => {
        const [now] = await query<{ ms: number }>("SELECT breakwater.now_ms() AS ms");
        return [...members].every(({ store }) => Math.abs(store.cell(KEY).now() - (now?.ms ?? 0)) < 500);
      });
    },
  };
}

let runs = 0;

async function openMember(url: string, context: Partial<StoreContext>): Promise<Member> {
  const problems: StoreProblem[] = [];
  const store = await openPostgres(
    { kind: "postgres", url: new Secret(url), poolSize: 4 },
    {
      script: "test",
      run: `run-${++runs}`,
      parentSpanId: null,
      signals: ["traces", "metrics", "logs"],
      onProblem: (problem) => problems.push(problem),
      ...context,
    },
  );
  return {
    store,
    problems,
    breaker: (options, key = KEY) => new CircuitBreaker({ name: key.name, cell: store.cell(key), ...options }),
  };
}
