import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { skipWithoutPostgres } from "../support/postgres.ts";
import { newFleet, serverForTests } from "../support/postgres-stores.ts";
import { runScriptFile } from "../support/script.ts";

describe("breaker on the database of a fleet", { skip: skipWithoutPostgres() }, () => {
  const server = serverForTests();

  for (const aheadMs of [90_000, -90_000]) {
    test(`goes by the server's clock, ${aheadMs} ms ahead of this machine's`, async (t) => {
      const fleet = await newFleet(t, await server());
      const { breaker } = await fleet.join();
      await fleet.advance(aheadMs);
      await breaker({ failureThreshold: 1, recoveryTimeoutMs: 60_000 }).recordFailure();
      const run = async (...args: string[]) => {
        const env = { DATABASE_URL: fleet.url, ALPACA_ENABLED: "false", OTEL_SDK_DISABLED: "true" };
        const { stdout, stderr } = await runScriptFile("scripts/breaker.ts", { args: [...args, "--json"], env });
        assert.equal(stderr, "");
        return JSON.parse(stdout);
      };
      const [{ state, timeUntilRecoveryMs }] = await run("list");
      assert.equal(state, "open");
      assert.ok(timeUntilRecoveryMs > 30_000 && timeUntilRecoveryMs <= 60_000, `${timeUntilRecoveryMs} ms`);
      assert.equal((await run("history", "--since", "45s")).length, 1);
      await fleet.advance(50_000);
      assert.equal((await run("history", "--since", "45s")).length, 0);
    });
  }
});
