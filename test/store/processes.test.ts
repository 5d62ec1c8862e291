import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import type { BreakerRecord } from "../../src/breaker/state.ts";
import { KILLS, killWhileChanging, newStateFile, openOn, raceOn, runWorker } from "./support.ts";

const RACERS = 8;
/** How often a race is run that one process could win by chance. */
const ROUNDS = 50;

function race<T>(job: string, path: string, amount: number, env: Record<string, string> = {}) {
  return Promise.all(Array.from({ length: RACERS }, () => runWorker<T>([job, path, amount], env)));
}

test(`${RACERS} processes that count failures at once lose none`, async () => {
  const path = newStateFile();
  const outcomes = await race<BreakerRecord>("fail", path, 50);
  assert.deepEqual(
    outcomes.flatMap(({ problems }) => problems),
    [],
  );
  const { automatic } = openOn(path).cell({ name: "shared", host: "test" }).peek();
  assert.equal(automatic.state === "closed" && automatic.failures, RACERS * 50);
});

test(`${RACERS} processes that meet the end of a cooldown make one probe, and open it once`, async () => {
  const path = newStateFile();
  await race("fail", path, 10, { THRESHOLD: "5" });
  const store = openOn(path);
  assert.deepEqual(
    (await store.history({})).map(({ to }) => to),
    ["open"],
  );
  const outcomes = await race<number>("probe", path, 20, { CLOCK_OFFSET_MS: "61000" });
  assert.equal(
    outcomes.reduce((sum, { result }) => sum + result, 0),
    1,
  );
  assert.deepEqual(
    (await store.history({})).map(({ to }) => to),
    ["open", "half_open"],
  );
});

test(`${RACERS} processes together never get more places than the budget has`, async () => {
  const path = newStateFile();
  const outcomes = await race<number>("reserve", path, 30, { LIMIT: "100" });
  assert.equal(
    outcomes.reduce((sum, { result }) => sum + result, 0),
    100,
  );
});

for (const { how, damage } of [
  { how: "create one file", damage: null },
  { how: "find one file damaged", damage: "no database at all, and long enough for one".repeat(1_000) },
]) {
  test(`${RACERS} processes that ${how} at the same moment end up with one, and lose nothing`, async () => {
    const paths = Array.from({ length: ROUNDS }, newStateFile);
    for (const path of paths) if (damage !== null) writeFileSync(path, damage);
    for (const { path, work } of await raceOn<BreakerRecord>(paths, RACERS, "fail", 5)) {
      const problems = work.flatMap(({ problems }) => problems);
      assert.equal(problems.length, damage === null ? 0 : 1, problems.join("\n"));
      const store = openOn(path);
      const { automatic } = store.cell({ name: "shared", host: "test" }).peek();
      assert.equal(automatic.state === "closed" && automatic.failures, RACERS * 5);
      await store.close();
      const copies = readdirSync(dirname(path)).filter((name) => name.includes(".corrupt-"));
      assert.deepEqual(
        copies.map((name) => readFileSync(join(dirname(path), name), "utf8")),
        damage === null ? [] : [damage],
      );
    }
  });
}

test("Deno, tsx and node share one file", async () => {
  const path = newStateFile();
  const options = { THRESHOLD: "30" };
  const outcomes = await Promise.all(
    (["node", "deno", "tsx"] as const).map((runtime) => runWorker<BreakerRecord>(["fail", path, 10], options, runtime)),
  );
  assert.deepEqual(
    outcomes.flatMap(({ problems }) => problems),
    [],
  );
  for (const runtime of ["deno", "node"] as const) {
    const { result } = await runWorker<{ state: string }>(["look", path], {}, runtime);
    assert.equal(result.state, "open");
  }
});

test(`${KILLS} kills at random moments leave no broken state, and each change exactly once`, async () => {
  const path = newStateFile();
  await killWhileChanging(path, KILLS);
  const db = new DatabaseSync(path);
  assert.deepEqual({ ...(db.prepare("PRAGMA integrity_check").get() as object) }, { integrity_check: "ok" });
  assert.equal((db.prepare("SELECT count(*) AS bad FROM quarantine").get() as { bad: number }).bad, 0);
  const { generation } = openOn(path).cell({ name: "shared", host: "test" }).peek();
  const rows = db.prepare("SELECT json_extract(entry, '$.generation') AS generation FROM transitions ORDER BY 1").all();
  const generations = rows.map((row) => Number((row as { generation: number }).generation));
  assert.ok(generations.length >= 2 * KILLS, `${generations.length} changes`);
  // Every change of state is a generation, and every generation has its change: none lost, none twice.
  assert.deepEqual(
    generations,
    Array.from({ length: generation }, (_, at) => at + 1),
  );
  db.close();
});
