import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { skipWithoutPostgres } from "../support/postgres.ts";
import { newFleet, serverForTests } from "../support/postgres-stores.ts";
import { type RUNTIMES, startScript } from "../support/script.ts";
import { KILLS, killWhileChanging } from "./support.ts";

const KEY = { name: "alpaca.trading", host: "localhost" };
const PROCESSES: readonly (keyof typeof RUNTIMES)[] = ["node", "node", "node", "node", "node", "node", "tsx", "deno"];

/** What each of the processes has printed at its end; they begin together. */
async function race<T>(url: string, ...args: string[]): Promise<T[]> {
  const members = PROCESSES.map((runtime) =>
    startScript("test/fixtures/postgres-member.ts", { args, runtime, env: { DATABASE_URL: url } }),
  );
  await Promise.all(members.map(({ child, ended }) => Promise.race([once(child.stdout, "data"), ended])));
  for (const { child } of members) if (child.stdin.writable) child.stdin.end("go\n");
  const outcomes = await Promise.all(members.map(({ ended }) => ended));
  for (const { code, stderr } of outcomes) assert.deepEqual([code, stderr], [0, ""]);
  return outcomes.map(({ stdout }) => JSON.parse(stdout.split("\n")[1] ?? "") as T);
}

describe("eight processes on one database", { skip: skipWithoutPostgres() }, () => {
  const server = serverForTests();

  test("lose no failure, though all of them found the database empty", async (t) => {
    const fleet = await newFleet(t, await server());
    await race(fleet.url, "fail", "25");
    const { automatic } = (await fleet.join()).store.cell(KEY).peek();
    assert.equal(automatic.state === "closed" && automatic.failures, 8 * 25);
  });

  test("make one probe for each cooldown", async (t) => {
    const fleet = await newFleet(t, await server());
    const probes = (await race<string[]>(fleet.url, "probe", "6")).flat();
    const history = await (await fleet.join()).store.history({});
    assert.deepEqual(
      history.map(({ generation }) => generation),
      history.map((_, at) => at + 1),
    );
    assert.deepEqual(
      history.map(({ to }) => to),
      history.map((_, at) => (at % 2 === 0 ? "open" : "half_open")),
    );
    const stored = history.flatMap(({ eventId, to }) => (to === "half_open" ? [eventId] : []));
    assert.ok(stored.length >= 6);
    assert.deepEqual(probes.toSorted(), stored.toSorted());
    for (const [at, { to, at: moment }] of history.entries()) {
      const opened = history[at - 1]?.at.getTime() ?? 0;
      if (to === "half_open") assert.ok(moment.getTime() - opened >= 200);
    }
  });

  test("start no more requests than the budget has", async (t) => {
    const fleet = await newFleet(t, await server());
    const waits = (await race<(number | null)[]>(fleet.url, "reserve", "30")).flat();
    const count = (of: number | null) => waits.filter((wait) => wait === of).length;
    assert.deepEqual([count(0), count(1), count(null)], [100, 100, 40]);
  });

  test(`${KILLS} kills at random moments leave no broken state, and each change exactly once`, async (t) => {
    const fleet = await newFleet(t, await server());
    await killWhileChanging(fleet.url, KILLS);
    const [breaker] = await fleet.query<{ generation: string }>("SELECT generation FROM breakwater.breakers");
    const changes = await fleet.query<{ generation: number }>(
      "SELECT (entry::json->>'generation')::int AS generation FROM breakwater.transitions ORDER BY 1",
    );
    assert.ok(changes.length >= 2 * KILLS, `${changes.length} changes`);
    assert.deepEqual(
      changes.map(({ generation }) => generation),
      Array.from({ length: Number(breaker?.generation) }, (_, at) => at + 1),
    );
    assert.deepEqual(await fleet.query("SELECT * FROM breakwater.quarantine"), []);
    const { problems } = await fleet.join();
    assert.deepEqual(problems, []);
  });
});
