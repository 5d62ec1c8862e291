import type { StoreConfig } from "../config/config.ts";
import { PostgresBudget } from "./postgres-budget.ts";
import { PostgresCell } from "./postgres-cell.ts";
import { ServerClock } from "./postgres-clock.ts";
import { Database } from "./postgres-database.ts";
import { listHistory, openOutbox } from "./postgres-history.ts";
import { ChangeListener } from "./postgres-listener.ts";
import { KnownRecords } from "./postgres-records.ts";
import { migrate } from "./postgres-schema.ts";
import type { Store, StoreContext } from "./store.ts";

/**
 * State in a PostgreSQL database, in its schema `breakwater`, shared by every script of a fleet. All times are the
 * server's. It holds at most `poolSize` connections, and one more that hears of what others write.
 *
 * @throws {NewerSchemaError | DatabaseError} when the database cannot be used; never with its URL.
 */
export async function openPostgres(
  { url, poolSize }: Extract<StoreConfig, { kind: "postgres" }>,
  context: StoreContext,
): Promise<Store> {
  const clock = new ServerClock(context.now ?? (() => Date.now()));
  const database = new Database({ url, poolSize, clock, onProblem: context.onProblem });
  const records = new KnownRecords();
  const self = crypto.randomUUID();
  const listener = new ChangeListener({
    url,
    self,
    load: async (lane) => {
      await records.load(lane, clock);
      database.regain();
    },
    onTrouble: (error) => database.report(error, "this run does not hear of what others change until it can"),
  });
  await listener.start(migrate);
  const cells = new Map<string, PostgresCell>();
  return {
    scope: "fleet",
    now: clock.now,
    cell: (key) => {
      const id = JSON.stringify([key.name, key.host]);
      const cell = cells.get(id) ?? new PostgresCell({ database, records, context, self }, key);
      cells.set(id, cell);
      return cell;
    },
    budget: (host, account, limit) => new PostgresBudget(database, `${host} ${account}`, limit),
    breakers: async () => {
      await database.use((lane) => records.load(lane, clock));
      return records.list();
    },
    history: (query) => listHistory(database, query),
    outbox: openOutbox(database, context),
    close: async () => {
      await listener.stop();
      await database.close();
    },
  };
}
