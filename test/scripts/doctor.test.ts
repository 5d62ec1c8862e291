import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { startOtlpReceiver } from "../../src/local/otlp-receiver.ts";
import { type Simulator, startSimulator } from "../../src/local/simulator.ts";
import { runScriptFile, simulatorEnv } from "../support/script.ts";

let simulator: Simulator;
before(async () => {
  // Letters that make no word, which an account number or a sentence could have too.
  simulator = await startSimulator({
    keyId: "PKZQ9XW7VT5NR3LJ1HF8",
    secretKey: "qZ7wX9vT5rN3jL1hF8dB6mKc2pGyRs4tVnQe0uJx",
  });
});
after(() => simulator.close());
beforeEach(() => {
  simulator.clearFaults();
  simulator.clearRequests();
});

interface Diagnosis {
  readonly config: Record<string, string>;
  readonly warnings: readonly { readonly variable: string }[];
  readonly checks: readonly { readonly name: string; readonly status: string; readonly detail: string }[];
}

async function diagnose(args: string[] = [], env: Record<string, string | undefined> = {}) {
  const outcome = await runScriptFile("scripts/doctor.ts", {
    args: ["--json", ...args],
    env: simulatorEnv(simulator, env),
  });
  const diagnosis = JSON.parse(outcome.stdout) as Diagnosis;
  const statusOf = (name: string) => diagnosis.checks.find((check) => check.name === name)?.status;
  return { ...outcome, diagnosis, statusOf };
}

test("a healthy set-up is ok in every check, and shows no part of a secret", async () => {
  const { code, stdout, stderr, diagnosis } = await diagnose();
  assert.equal(code, 0);
  assert.deepEqual(
    diagnosis.checks.map(({ name, status }) => [name, status]),
    [
      ["trading host and credentials", "ok"],
      ["clock", "ok"],
      ["market data host", "ok"],
      ["collector", "skipped"],
    ],
  );
  assert.equal(diagnosis.config.credentials, "set (hidden)");
  for (const secret of [simulator.secretKey, simulator.keyId]) {
    for (let at = 0; at + 6 <= secret.length; at++) {
      const part = secret.slice(at, at + 6);
      assert.ok(!stdout.includes(part) && !stderr.includes(part), part);
    }
  }
});

test("without credentials it makes no request, warns and ends with 0; with --strict with 78", async () => {
  const env = { ALPACA_API_KEY: undefined, ALPACA_API_SECRET: undefined };
  const { code, diagnosis } = await diagnose([], env);
  assert.equal(code, 0);
  assert.deepEqual(
    diagnosis.warnings.map(({ variable }) => variable),
    ["ALPACA_API_KEY", "ALPACA_API_SECRET"],
  );
  assert.equal((await diagnose(["--strict"], env)).code, 78);
  assert.equal(simulator.counts.trading + simulator.counts.data, 0);
});

test("--strict lets a healthy set-up pass", async () => {
  assert.equal((await diagnose(["--strict"])).code, 0);
});

test("--offline makes no request at all", async () => {
  await using receiver = await startOtlpReceiver();
  const { code } = await diagnose(["--offline"], { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  assert.equal(code, 0);
  assert.equal(simulator.counts.trading + simulator.counts.data, 0);
});

test("rejected credentials end with 77, and the other checks are made all the same", async () => {
  const { code, diagnosis } = await diagnose([], { ALPACA_API_SECRET: "wrong-secret-value" });
  assert.equal(code, 77);
  assert.equal(diagnosis.checks.length, 4);
});

test("a data host that rejects the keys with 403 ends with 77", async () => {
  simulator.fault({ kind: "status", status: 403, message: "subscription does not permit" }, { host: "data" });
  const { code, diagnosis } = await diagnose();
  assert.equal(code, 77);
  assert.match(diagnosis.checks[2]?.detail ?? "", /403.*subscription does not permit/);
});

test("a host that is down ends with 69, and 77 goes before it", async () => {
  simulator.fault({ kind: "status", status: 502 }, { host: "data" });
  const down = await diagnose();
  assert.equal(down.code, 69);
  assert.equal(down.statusOf("trading host and credentials"), "ok");
  assert.equal((await diagnose([], { ALPACA_API_KEY: "PKWRONGWRONGWRONG" })).code, 77);
});

test("a clock that is hours off is a warning, never an error", async () => {
  simulator.fault({ kind: "clock", offsetMs: -3 * 3_600_000 });
  const { code, diagnosis } = await diagnose();
  assert.equal(code, 0);
  assert.equal(diagnosis.checks[1]?.status, "warning");
  assert.match(diagnosis.checks[1]?.detail ?? "", /10800\.\d s ahead of Alpaca/);
  assert.equal((await diagnose(["--strict"])).code, 78);
});

test("a collector is looked for where the signals go", async () => {
  await using receiver = await startOtlpReceiver();
  const on = { OTEL_SDK_DISABLED: undefined };
  const there = await diagnose([], { ...on, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  assert.equal(there.statusOf("collector"), "ok");
  await receiver.close();
  const gone = await diagnose([], { ...on, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  assert.equal(gone.statusOf("collector"), "warning");
  assert.equal(gone.code, 0);
});
