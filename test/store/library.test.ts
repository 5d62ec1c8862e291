import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { startSimulator } from "../../src/local/simulator.ts";
import { CircuitBreakerOpenError, createAlpacaClient, openSharedHosts, parseConfig } from "../../src/mod.ts";
import { runScriptFile, simulatorEnv } from "../support/script.ts";
import { newStateFile } from "./support.ts";

test("a program of one's own and the scripts share breaker, hold and history", async () => {
  await using simulator = await startSimulator();
  const env = simulatorEnv(simulator, { STATE_DIR: dirname(newStateFile()), ALPACA_BREAKER_FAILURE_THRESHOLD: "2" });
  const { config } = parseConfig(env);
  await using shared = await openSharedHosts({ config, name: "my-service" });
  const alpaca = createAlpacaClient({ config, hosts: shared.hosts });
  assert.equal(typeof (await alpaca.getClock()).is_open, "boolean");

  const repair = simulator.fault({ kind: "status", status: 503 });
  await assert.rejects(alpaca.getClock());
  assert.equal((await runScriptFile("scripts/status.ts", { env })).code, 69);
  repair();
  await assert.rejects(
    alpaca.getClock(),
    (error) => error instanceof CircuitBreakerOpenError && error.state === "open",
  );

  const history = await runScriptFile("scripts/breaker.ts", { args: ["history", "--json"], env });
  assert.deepEqual(
    JSON.parse(history.stdout).map(({ to, script }: { to: string; script: string }) => [to, script]),
    [["open", "status"]],
  );
  await shared.hosts.trading.breaker.reset("my-service");
  assert.equal((await runScriptFile("scripts/status.ts", { env })).code, 0);

  await shared.hosts.trading.breaker.isolate("settlement is being checked", "ann@desk");
  const held = await runScriptFile("scripts/status.ts", { env });
  assert.equal(held.code, 69);
  assert.match(held.stderr, /isolated by an operator: settlement is being checked/);
  const show = await runScriptFile("scripts/breaker.ts", { args: ["show", "alpaca.trading", "--json"], env });
  assert.equal(JSON.parse(show.stdout)[0].hold.by, "ann@desk");
  await runScriptFile("scripts/breaker.ts", { args: ["release", "alpaca.trading"], env });
  assert.equal(typeof (await alpaca.getClock()).is_open, "boolean");
});

test("an account is a hash of its key: neither key nor secret is anywhere in the state file", async () => {
  await using simulator = await startSimulator();
  const folder = dirname(newStateFile());
  const { config } = parseConfig(simulatorEnv(simulator, { STATE_DIR: folder, ALPACA_BREAKER_FAILURE_THRESHOLD: "1" }));
  const look = () => {
    const files = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "latin1")] as const);
    for (const [name, content] of files) {
      for (const value of [simulator.keyId, simulator.secretKey]) assert.ok(!content.includes(value), name);
    }
    return files.map(([name]) => name).sort();
  };
  {
    await using shared = await openSharedHosts({ config, name: "my-service" });
    const alpaca = createAlpacaClient({ config, hosts: shared.hosts });
    await alpaca.getClock();
    simulator.fault({ kind: "status", status: 503 });
    await assert.rejects(alpaca.getClock());
    assert.equal((await shared.store?.history({}))?.length, 1);
    assert.deepEqual(look(), ["breakwater.sqlite", "breakwater.sqlite-shm", "breakwater.sqlite-wal"]);
  }
  assert.deepEqual(look(), ["breakwater.sqlite"]);
  const db = new DatabaseSync(join(folder, "breakwater.sqlite"));
  const budgets = db.prepare("SELECT budget, starts FROM budgets").all();
  db.close();
  assert.equal(budgets.length, 1);
  assert.match(String(budgets[0]?.budget), /^127\.0\.0\.1:\d+ [0-9a-f]{16}$/);
  assert.equal(budgets[0]?.starts, 2);
});

test("what a program without telemetry changes is left for the scripts to deliver", async () => {
  await using simulator = await startSimulator();
  const { config } = parseConfig(simulatorEnv(simulator, { STATE_DIR: dirname(newStateFile()) }));
  await using shared = await openSharedHosts({ config, name: "my-service" });
  await shared.hosts.trading.breaker.isolate("upgrade", "me");
  assert.equal(await shared.store?.outbox.size(), 1);
});

test("a store that cannot be opened leaves the program with state of its own, and says so", async () => {
  await using simulator = await startSimulator();
  const { config } = parseConfig(simulatorEnv(simulator, { STATE_DIR: `${import.meta.filename}/nowhere` }));
  const problems: string[] = [];
  await using shared = await openSharedHosts({ config, name: "x", onProblem: ({ kind }) => problems.push(kind) });
  assert.equal(shared.store, null);
  assert.deepEqual(problems, ["unreachable"]);
  assert.equal(shared.hosts.trading.breaker.state, "closed");
});
