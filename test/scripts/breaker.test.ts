import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { type Simulator, startSimulator } from "../../src/local/simulator.ts";
import { newStateDir, runScriptFile, simulatorEnv, startScript } from "../support/script.ts";

let simulator: Simulator;
before(async () => {
  simulator = await startSimulator();
});
after(() => simulator.close());

const FILE = "scripts/breaker.ts";

async function breaker(state: string, ...args: string[]) {
  const env = simulatorEnv(simulator, { STATE_DIR: state });
  const outcome = await runScriptFile(FILE, { args: ["--json", ...args], env });
  return { ...outcome, result: outcome.stdout === "" ? null : JSON.parse(outcome.stdout) };
}

test("an empty store has an empty list and an empty history", async () => {
  const state = newStateDir();
  assert.deepEqual((await breaker(state, "list")).result, []);
  assert.deepEqual((await breaker(state, "history")).result, []);
});

test("isolate, release and reset change the circuit of the configured host, and the history says who and why", async () => {
  const state = newStateDir();
  const held = await breaker(state, "isolate", "alpaca.trading", "--reason", "look first", "--by", "ann@desk");
  assert.equal(held.code, 0);
  assert.equal(held.result[0].state, "isolated");
  assert.deepEqual([held.result[0].hold.by, held.result[0].hold.reason], ["ann@desk", "look first"]);
  assert.equal((await breaker(state, "show", "alpaca.trading")).result[0].state, "isolated");
  assert.equal((await breaker(state, "release", "alpaca.trading")).result[0].state, "closed");
  const { result } = await breaker(state, "history", "alpaca.trading", "--since", "1h");
  assert.deepEqual(
    result.map(({ from, to }: { from: string; to: string }) => `${from} ${to}`),
    ["closed isolated", "isolated closed"],
  );
  const [first, second] = result;
  assert.deepEqual(first.operator, { by: "ann@desk", reason: "look first" });
  assert.deepEqual([first.breaker, first.reason, first.script], ["alpaca.trading", "operator", "breaker"]);
  assert.notEqual(first.eventId, second.eventId);
  assert.match(first.traceId, /^[0-9a-f]{32}$/);
  assert.equal(new Date(first.at).toISOString(), first.at);
  const db = new DatabaseSync(join(state, "breakwater.sqlite"));
  db.prepare("UPDATE transitions SET at_ms = at_ms - 7200000 WHERE event_id = ?").run(first.eventId);
  db.close();
  const ofLate = await breaker(state, "history", "alpaca.trading", "--since", "1h");
  assert.deepEqual(
    ofLate.result.map(({ eventId }: { eventId: string }) => eventId),
    [second.eventId],
  );
});

test("reset closes an open circuit", async () => {
  const state = newStateDir();
  const repair = simulator.fault({ kind: "status", status: 503 });
  const env = simulatorEnv(simulator, { STATE_DIR: state, ALPACA_BREAKER_FAILURE_THRESHOLD: "1" });
  await runScriptFile("scripts/status.ts", { env });
  repair();
  assert.equal((await breaker(state, "list")).result[0].state, "open");
  assert.equal((await breaker(state, "reset", "alpaca.trading")).result[0].state, "closed");
  assert.equal((await runScriptFile("scripts/status.ts", { env })).code, 0);
});

for (const args of [
  [],
  ["fly"],
  ["show"],
  ["isolate", "alpaca.trading"],
  ["isolate", "alpaca.trading", "--reason", " "],
  ["history", "--since", "soon"],
  ["isolate", "alpaca.trading", "--reason", "a\u001b[2Jb"],
  ["isolate", "alpaca.trading", "--reason", "fine", "--by", " "],
  ["list", "more"],
  ["show", "a", "b"],
]) {
  test(`usage error: breaker ${args.join(" ")}`, async () => {
    const { code, stdout } = await breaker(newStateDir(), ...args);
    assert.equal(code, 2);
    assert.equal(stdout, "");
  });
}

test("a name that nothing is known of is an error that says so", async () => {
  const state = newStateDir();
  const shown = await breaker(state, "show", "alpaca.nothing");
  assert.equal(shown.code, 1);
  assert.match(shown.stderr, /nothing is stored of it/);
  const reset = await breaker(state, "reset", "alpaca.nothing");
  assert.equal(reset.code, 1);
  assert.match(reset.stderr, /none of alpaca.trading, alpaca.data/);
});

test("watch prints changes as other scripts make them, until it is interrupted", async () => {
  const state = newStateDir();
  const { child, ended } = startScript(FILE, { args: ["watch"], env: simulatorEnv(simulator, { STATE_DIR: state }) });
  const seen = Promise.withResolvers<void>();
  const ready = Promise.withResolvers<void>();
  let text = "";
  child.stderr.on("data", (chunk) => {
    text += chunk;
    if (text.includes("watching")) ready.resolve();
    if (/alpaca\.trading {2}closed → isolated {2}operator {2}by breaker/.test(text)) seen.resolve();
  });
  await ready.promise;
  await breaker(state, "isolate", "alpaca.trading", "--reason", "watched");
  await seen.promise;
  child.kill("SIGINT");
  assert.equal((await ended).code, 130);
});
