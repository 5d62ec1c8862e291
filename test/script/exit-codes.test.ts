import assert from "node:assert/strict";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { after, before, beforeEach, test } from "node:test";
import type { Fault } from "../../src/local/faults.ts";
import { type Simulator, startSimulator } from "../../src/local/simulator.ts";
import { newStateDir, ROOT, runScriptFile, simulatorEnv } from "../support/script.ts";

let simulator: Simulator;
before(async () => {
  simulator = await startSimulator();
});
after(() => simulator.close());
beforeEach(() => {
  simulator.clearFaults();
  simulator.clearRequests();
});

const run = (args: string[] = [], env: Record<string, string | undefined> = {}) =>
  runScriptFile("scripts/status.ts", { args, env: simulatorEnv(simulator, env) });

test("help goes to stdout and ends with 0, before anything is checked", async () => {
  const { code, stdout, stderr } = await run(["--help"], { ALPACA_TIMEOUT_MS: "banana" });
  assert.equal(code, 0);
  assert.match(stdout, /Usage: npm run status -- \[flags\]/);
  assert.equal(stderr, "");
});

test("an unknown flag is a usage error, before the configuration is looked at", async () => {
  const { code, stdout, stderr } = await run(["--banana"], { ALPACA_TIMEOUT_MS: "banana" });
  assert.equal(code, 2);
  assert.equal(stdout, "");
  assert.match(stderr, /there is no flag --banana; see npm run status -- --help/);
});

test("a configuration that cannot be used ends with 78, all problems at once and no request made", async () => {
  const { code, stdout, stderr } = await run(["--json"], {
    ALPACA_TIMEOUT_MS: "banana",
    ALPACA_BASE_URL: "paper-api.alpaca.markets",
    OTEL_EXPORTER_OTLP_ENDPOINT: "localhost:4318",
    OTEL_SDK_DISABLED: undefined,
  });
  assert.equal(code, 78);
  assert.equal(stdout, "");
  for (const name of ["ALPACA_TIMEOUT_MS", "ALPACA_BASE_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"])
    assert.match(stderr, new RegExp(name));
  assert.equal(simulator.counts.trading, 0);
});

test("missing credentials end with 78 and a warning each; switched off is skipped with 0", async () => {
  const missing = await run([], { ALPACA_API_KEY: "", ALPACA_API_SECRET: "your_api_secret_here" });
  assert.equal(missing.code, 78);
  assert.match(missing.stderr, /warning: ALPACA_API_KEY is (?:missing|a placeholder)/);
  assert.match(missing.stderr, /warning: ALPACA_API_SECRET is a placeholder/);
  const off = await run([], { ALPACA_ENABLED: "false", ALPACA_API_KEY: "" });
  assert.equal(off.code, 0);
  assert.match(off.stderr, /skipped/);
  assert.equal(simulator.counts.trading, 0);
});

const FAULTS: [string, Fault, number, RegExp][] = [
  ["401", { kind: "status", status: 401 }, 77, /ALPACA_API_KEY/],
  ["403", { kind: "status", status: 403 }, 1, /403/],
  ["404", { kind: "status", status: 404 }, 1, /404/],
  ["429 beyond the deadline", { kind: "throttle", resetSeconds: 120 }, 75, /429/],
  ["500", { kind: "status", status: 500 }, 69, /500/],
  ["502 as HTML", { kind: "status", status: 502 }, 69, /502/],
  ["a reset connection", { kind: "reset" }, 69, /GET \/v2\/account/],
  ["a truncated body", { kind: "truncated" }, 69, /GET \/v2\/account/],
  ["a truncated chunked body", { kind: "truncated", chunked: true }, 69, /GET \/v2\/account/],
  ["HTML where JSON is due", { kind: "garbage", format: "html" }, 69, /text\/html where JSON was due/],
  ["half of a JSON document", { kind: "garbage", format: "json" }, 69, /where JSON was due/],
  ["an answer without a field", { kind: "schema", omit: ["status"] }, 1, /status is missing/],
  ["a redirect", { kind: "redirect", to: "http://127.0.0.1:9" }, 1, /redirect/],
  ["no answer in time", { kind: "hang" }, 69, /within 200 ms/],
];

for (const [what, fault, expected, said] of FAULTS) {
  test(`${what} ends with ${expected}, says why, and leaves stdout empty`, async () => {
    simulator.fault(fault);
    const { code, stdout, stderr } = await run(["--json"], {
      ALPACA_TIMEOUT_MS: fault.kind === "hang" ? "200" : "10000",
    });
    assert.equal(code, expected, stderr);
    assert.equal(stdout, "");
    assert.match(stderr, said);
    assert.ok(!stderr.includes(simulator.secretKey));
  });
}

test("--json prints one document and nothing else on stdout", async () => {
  const { code, stdout } = await run(["--json"]);
  assert.equal(code, 0);
  const status = JSON.parse(stdout);
  assert.equal(status.clock.is_open !== undefined, true);
  assert.equal(typeof status.account.buying_power, "string");
  assert.ok(!stdout.includes(simulator.secretKey));
});

test("--quiet prints results only, and no colours where there is no terminal", async () => {
  const { code, stdout, stderr } = await run(["--quiet"]);
  assert.equal(code, 0);
  assert.equal(stderr, "");
  assert.match(stdout, /Account/);
  assert.ok(!stdout.includes("\u001b"));
});

test("started in any folder, a script keeps its state in the toolkit's own, and reads no .env there", async (t) => {
  const elsewhere = newStateDir();
  writeFileSync(join(elsewhere, ".env"), "ALPACA_TIMEOUT_MS=banana");
  const state = `.breakwater/test-${process.pid}`;
  t.after(() => rmSync(join(ROOT, state), { recursive: true, force: true }));
  const env = simulatorEnv(simulator, { STATE_DIR: `./${state}` });
  const { code, stderr } = await runScriptFile("scripts/status.ts", { env, cwd: elsewhere });
  assert.equal(code, 0, stderr);
  assert.ok(existsSync(join(ROOT, state, "breakwater.sqlite")));
});
