import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openSharedHosts, parseConfig } from "../../src/mod.ts";
import { THROTTLED, WINDOW_MS } from "../../src/store/budget.ts";
import { skipWithoutPostgres } from "../support/postgres.ts";
import { newFleet, serverForTests } from "../support/postgres-stores.ts";

const HOST = "paper-api.alpaca.markets";

describe("the budget of a fleet", { skip: skipWithoutPostgres() }, () => {
  const server = serverForTests();

  test("two stores together never start more requests than the limit within any minute", async (t) => {
    const fleet = await newFleet(t, await server());
    const budgets = [await fleet.join(), await fleet.join()].map(({ store }) => store.budget(HOST, "account", 20));
    const places = await Promise.all(Array.from({ length: 50 }, (_, call) => budgets[call % 2]?.reserve()));
    const waits = places.map((place) => (place?.granted ? Math.round(place.waitMs / WINDOW_MS) : "refused"));
    const count = (of: unknown) => waits.filter((wait) => wait === of).length;
    assert.deepEqual([count(0), count(1), count("refused")], [20, 20, 10]);
    const starts = await fleet.query<{ at_ms: number }>("SELECT at_ms FROM breakwater.budget_starts ORDER BY at_ms");
    for (const [at, { at_ms }] of starts.entries()) {
      const next = starts[at + 20];
      assert.ok(next === undefined || next.at_ms - at_ms >= WINDOW_MS);
    }
  });

  test("a place is free again after a minute, or when it is given back", async (t) => {
    const fleet = await newFleet(t, await server());
    const [here, there] = [await fleet.join(), await fleet.join()].map(({ store }) => store.budget(HOST, "account", 2));
    assert.ok(here && there);
    const place = await here.reserve();
    await there.reserve();
    assert.deepEqual([await here.remaining(), await there.remaining()], [0, 0]);
    if (place.granted) await place.giveBack();
    assert.equal(await there.remaining(), 1);
    assert.equal((await there.reserve()).waitMs, 0);
    await fleet.advance(WINDOW_MS);
    assert.equal(await there.remaining(), 2);
    assert.equal((await there.reserve()).waitMs, 0);
  });

  test("a pause that one store hears of is seen by both", async (t) => {
    const fleet = await newFleet(t, await server());
    const [here, there] = [await fleet.join(), await fleet.join()].map(({ store }) => store.budget(HOST, "account", 9));
    assert.ok(here && there);
    assert.equal(await there.pausedMs(), 0);
    await here.pause(20_000);
    await there.pause(10_000);
    assert.equal(await there.remaining(), 0);
    const pausedMs = await there.pausedMs();
    assert.ok(pausedMs > 15_000 && pausedMs <= 20_000, `${pausedMs}`);
    const place = await there.reserve();
    assert.ok(place.granted && place.waitMs > 15_000 && place.waitMs <= 20_000);
    await here.pause(120_000);
    const refused = await there.reserve();
    assert.ok(!refused.granted && refused.why === THROTTLED && refused.waitMs > 115_000);
    await fleet.advance(120_000);
    assert.deepEqual([await there.pausedMs(), (await there.reserve()).waitMs], [0, 0]);
  });

  test("accounts and hosts have budgets of their own", async (t) => {
    const { store } = await (await newFleet(t, await server())).join();
    for (const [host, account] of [
      [HOST, "one"],
      [HOST, "two"],
      ["data.alpaca.markets", "one"],
    ] as const) {
      assert.equal((await store.budget(host, account, 1).reserve()).waitMs, 0);
    }
  });

  test("an account is a hash of its key: neither key nor secret is in the database", async (t) => {
    const fleet = await newFleet(t, await server());
    const [key, secret] = ["PK7Q2M4T9RV3XW8ZB5NC", "f7Jw3nV9cKq5bTz2LxYh8RmPd4sGa6EuWo1iQvNk"];
    const env = { DATABASE_URL: fleet.url, ALPACA_API_KEY: key, ALPACA_API_SECRET: secret };
    await using shared = await openSharedHosts({ config: parseConfig(env).config, name: "my-service" });
    await shared.hosts.trading.budget.reserve();
    await shared.hosts.trading.breaker.isolate("look first", "me");
    const stored = await fleet.rows();
    assert.match(stored.budgets?.join("\n") ?? "", /^\("paper-api\.alpaca\.markets [0-9a-f]{16}",0\)$/);
    assert.equal(stored.transitions?.length, 1);
    for (const value of [key, secret]) assert.ok(!JSON.stringify(stored).includes(value));
  });
});
