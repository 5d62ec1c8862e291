import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { startOtlpReceiver } from "../../src/local/otlp-receiver.ts";
import { type Simulator, startSimulator } from "../../src/local/simulator.ts";
import { runScriptFile, simulatorEnv, startScript } from "../support/script.ts";

const SCRIPT = "scripts/doctor.ts";

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

interface Check {
  readonly name: string;
  readonly status: string;
  readonly detail: string;
  readonly remedy?: string;
  readonly skewMs?: number;
  readonly latencyMs?: number;
}

interface Diagnosis {
  readonly config: Record<string, string>;
  readonly warnings: readonly { readonly variable: string }[];
  readonly checks: readonly Check[];
}

async function diagnose(args: string[] = [], env: Record<string, string | undefined> = {}) {
  const outcome = await runScriptFile(SCRIPT, { args: ["--json", ...args], env: simulatorEnv(simulator, env) });
  const diagnosis = JSON.parse(outcome.stdout) as Diagnosis;
  const checkOf = (name: string) => {
    const found = diagnosis.checks.find((check) => check.name === name);
    assert.ok(found, `there is no check ${name}: ${outcome.stdout}`);
    return found;
  };
  return { ...outcome, diagnosis, checkOf, statusOf: (name: string) => checkOf(name).status };
}

function assertHidden(text: string): void {
  for (const secret of [simulator.secretKey, simulator.keyId]) {
    for (let at = 0; at + 6 <= secret.length; at++) {
      const part = secret.slice(at, at + 6);
      assert.ok(!text.includes(part), `${part} shows`);
    }
  }
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
  assertHidden(stdout + stderr);
});

test("it only reads, and asks one thing at a time", async () => {
  simulator.fault({ kind: "delay", delayMs: 100 });
  const { code, checkOf } = await diagnose();
  assert.equal(code, 0);
  const { requests } = simulator;
  assert.deepEqual(
    requests.map(({ host, method, path }) => [host, method, path]),
    [
      ["trading", "GET", "/v2/account"],
      ["trading", "GET", "/v2/clock"],
      ["data", "GET", "/v2/stocks/AAPL/bars"],
    ],
  );
  for (const [at, { at: time }] of requests.entries()) assert.ok(at === 0 || time - (requests[at - 1]?.at ?? 0) >= 90);
  assert.ok((checkOf("clock").latencyMs ?? 0) >= 90);
});

test("without credentials it makes no request, warns and ends with 0; with --strict with 78", async () => {
  const env = { ALPACA_API_KEY: "your_api_key_here", ALPACA_API_SECRET: "your_api_secret_here" };
  const { code, diagnosis, statusOf } = await diagnose([], env);
  assert.equal(code, 0);
  assert.deepEqual(
    diagnosis.warnings.map(({ variable }) => variable),
    ["ALPACA_API_KEY", "ALPACA_API_SECRET"],
  );
  assert.equal(statusOf("Alpaca"), "skipped");
  const strict = await diagnose(["--strict"], env);
  assert.equal(strict.code, 78);
  assert.equal(strict.diagnosis.warnings.length, 2);
  assert.equal(simulator.counts.trading + simulator.counts.data, 0);
});

test("Alpaca that is switched off is no warning, and --strict lets it pass", async () => {
  const { code, diagnosis } = await diagnose(["--strict"], { ALPACA_ENABLED: "false" });
  assert.equal(code, 0);
  assert.deepEqual(diagnosis.warnings, []);
  assert.equal(simulator.counts.trading + simulator.counts.data, 0);
});

test("--strict lets a healthy set-up pass", async () => {
  assert.equal((await diagnose(["--strict"])).code, 0);
});

test("--offline asks neither Alpaca nor the collector, and still shows the configuration", async () => {
  const { code, diagnosis } = await diagnose(["--offline"]);
  assert.equal(code, 0);
  assert.equal(diagnosis.config.tradingUrl, simulator.tradingUrl);
  assert.ok(diagnosis.checks.every(({ status }) => status === "skipped"));
  assert.equal(simulator.counts.trading + simulator.counts.data, 0);
});

// The harness delivers telemetry on every way out, and a script has no way yet to say that it wants none.
test("--offline sends no telemetry either", async () => {
  await using receiver = await startOtlpReceiver();
  await diagnose(["--offline"], { OTEL_SDK_DISABLED: undefined, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  assert.equal(receiver.received.points.length + receiver.received.spans.length, 0);
});

test("rejected credentials end with 77, and the other checks are made all the same", async () => {
  const { code, diagnosis, stdout, stderr } = await diagnose([], { ALPACA_API_SECRET: "wrong-secret-value" });
  assert.equal(code, 77);
  assert.deepEqual(
    diagnosis.checks.map(({ status }) => status),
    ["failed", "failed", "failed", "skipped"],
  );
  assert.ok(diagnosis.checks.every(({ status, remedy }) => status !== "failed" || remedy));
  assert.ok(!`${stdout}${stderr}`.includes("wrong-secret-value"));
});

test("an answer that repeats the credentials does not make them show", async () => {
  const message = `unknown key ${simulator.keyId} with ${simulator.secretKey}`;
  simulator.fault({ kind: "status", status: 403, message });
  const { code, stdout, stderr, checkOf } = await diagnose();
  assert.equal(code, 77);
  assertHidden(stdout + stderr);
  assert.match(checkOf("market data host").detail, /unknown key \[hidden\] with \[hidden\]/);
});

test("a data host that rejects the keys with 403 ends with 77", async () => {
  simulator.fault({ kind: "status", status: 403, message: "subscription does not permit" }, { host: "data" });
  const { code, checkOf, statusOf } = await diagnose();
  assert.equal(code, 77);
  assert.equal(statusOf("trading host and credentials"), "ok");
  assert.match(checkOf("market data host").detail, /403.*subscription does not permit/);
});

test("a host that is down ends with 69, and 77 goes before it", async () => {
  simulator.fault({ kind: "status", status: 502 }, { host: "data" });
  const down = await diagnose();
  assert.equal(down.code, 69);
  assert.equal(down.statusOf("trading host and credentials"), "ok");
  simulator.fault({ kind: "status", status: 401 }, { path: "/v2/account" });
  assert.equal((await diagnose()).code, 77);
});

test("a throttle ends with 75, and goes before an outage", async () => {
  simulator.fault({ kind: "throttle", resetSeconds: 1 }, { host: "data" });
  simulator.fault({ kind: "status", status: 503 }, { path: "/v2/account" });
  const { code, statusOf } = await diagnose();
  assert.equal(code, 75);
  assert.equal(statusOf("clock"), "ok");
});

test("a circuit that is open ends with 69, and what opened it is said, in this run or a later one", async () => {
  simulator.fault({ kind: "status", status: 503 }, { host: "data" });
  const env = simulatorEnv(simulator, { ALPACA_BREAKER_FAILURE_THRESHOLD: "1" });
  await diagnose([], env);
  simulator.clearRequests();
  const { code, checkOf } = await diagnose([], env);
  assert.equal(code, 69);
  assert.match(checkOf("market data host").detail, /circuit "alpaca\.data" is open .*opened by HTTP 503/);
  assert.match(checkOf("market data host").remedy ?? "", /wait/);
  assert.equal(simulator.counts.data, 0);
});

test("nothing that listens at all ends with 69 and names the way out", async () => {
  const { code, checkOf } = await diagnose([], { ALPACA_BASE_URL: "http://127.0.0.1:9" });
  assert.equal(code, 69);
  assert.match(checkOf("trading host and credentials").detail, /127\.0\.0\.1:9/);
  assert.match(checkOf("trading host and credentials").remedy ?? "", /ALPACA_BASE_URL/);
});

test("an answer that is not of the schema ends with 1 and names the field", async () => {
  simulator.fault({ kind: "schema", omit: ["is_open"] }, { path: "/v2/clock" });
  const { code, checkOf } = await diagnose();
  assert.equal(code, 1);
  assert.match(checkOf("clock").detail, /is_open is missing/);
});

test("an answer that is not JSON is an outage", async () => {
  simulator.fault({ kind: "garbage", format: "html" }, { host: "data" });
  const { code, checkOf } = await diagnose();
  assert.equal(code, 69);
  assert.match(checkOf("market data host").detail, /text\/html where JSON was due/);
});

for (const [field, changes] of Object.entries({
  trading_blocked: { trading_blocked: true },
  trade_suspended_by_user: { trade_suspended_by_user: true },
  status: { status: "ACCOUNT_CLOSED" },
})) {
  test(`an account that cannot trade is a warning: ${field}`, async () => {
    simulator.fault({ kind: "schema", set: changes }, { path: "/v2/account" });
    const { code, statusOf } = await diagnose();
    assert.equal(statusOf("trading host and credentials"), "warning");
    assert.equal(code, 0);
  });
}

for (const [hours, direction] of [
  [-3, "ahead of"],
  [3, "behind"],
] as const) {
  test(`a clock that is hours ${direction} Alpaca's is a warning, never an error`, async () => {
    simulator.fault({ kind: "clock", offsetMs: hours * 3_600_000 });
    const { code, checkOf } = await diagnose();
    assert.equal(code, 0);
    const { status, detail, skewMs = 0 } = checkOf("clock");
    assert.equal(status, "warning");
    assert.match(detail, new RegExp(`10(800|799)\\.\\d s ${direction} Alpaca`));
    assert.ok(Math.abs(skewMs + hours * 3_600_000) < 2_000);
    assert.equal((await diagnose(["--strict"])).code, 78);
  });
}

test("either of Alpaca's two times is enough for a warning", async () => {
  const timestamp = new Date(Date.now() + 60_000).toISOString();
  simulator.fault({ kind: "schema", set: { timestamp } }, { path: "/v2/clock" });
  assert.equal((await diagnose()).statusOf("clock"), "warning");
  // Only the Date header is left.
  simulator.fault({ kind: "schema", set: { timestamp: "soon" } }, { path: "/v2/clock" });
  assert.equal((await diagnose()).statusOf("clock"), "ok");
});

test("the time that an answer takes is no clock skew", async () => {
  await using behind = await startSimulator({ now: () => Date.now() - 4_500 });
  // Halfway between question and answer, the clock would seem to be 5.5 s off.
  behind.fault({ kind: "delay", delayMs: 2_000 }, { path: "/v2/clock" });
  const { stdout } = await runScriptFile(SCRIPT, { args: ["--json"], env: simulatorEnv(behind) });
  assert.equal(JSON.parse(stdout).checks[1].status, "ok");
});

test("--strict counts what a check warns of, and a warning goes before a failure", async () => {
  simulator.fault({ kind: "clock", offsetMs: 3_600_000 }, { path: "/v2/clock" });
  simulator.fault({ kind: "status", status: 502 }, { host: "data" });
  assert.equal((await diagnose()).code, 69);
  const { code, stderr } = await diagnose(["--strict"]);
  assert.equal(code, 78);
  assert.match(stderr, /1 of 4 checks failed/);
  assert.match(stderr, /there is 1 warning, and --strict allows none/);
});

const TELEMETRY_ON = { OTEL_SDK_DISABLED: undefined };

test("a collector is looked for where the signals go", async () => {
  await using receiver = await startOtlpReceiver();
  const env = { ...TELEMETRY_ON, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
  assert.equal((await diagnose([], env)).statusOf("collector"), "ok");
  await receiver.close();
  const gone = await diagnose([], env);
  assert.equal(gone.statusOf("collector"), "warning");
  assert.match(gone.checkOf("collector").remedy ?? "", /OTEL_EXPORTER_OTLP_ENDPOINT/);
  assert.equal(gone.code, 0);
});

test("a signal with a place of its own is looked for there", async () => {
  await using receiver = await startOtlpReceiver();
  const { diagnosis } = await diagnose([], {
    ...TELEMETRY_ON,
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://127.0.0.1:9/v1/logs",
  });
  const collectors = diagnosis.checks.filter(({ name }) => name === "collector");
  assert.deepEqual(
    collectors.map(({ status }) => status),
    ["ok", "warning"],
  );
  assert.match(collectors[1]?.detail ?? "", /for logs/);
});

test("the default place may be empty; named, it may not, even for one signal", async (t) => {
  const isTaken = await new Promise<boolean>((resolve) => {
    const server = createServer()
      .once("error", () => resolve(true))
      .listen(4318, "localhost", () => server.close(() => resolve(false)));
  });
  if (isTaken && process.env.BREAKWATER_REQUIRE_ALL !== "1") return t.skip("something listens at localhost:4318");
  assert.ok(!isTaken, "something listens at localhost:4318");
  const nobody = await diagnose(["--strict"], TELEMETRY_ON);
  assert.equal(nobody.code, 0);
  assert.equal(nobody.statusOf("collector"), "ok");
  assert.match(nobody.checkOf("collector").detail, /not running at http:\/\/localhost:4318/);
  const env = { ...TELEMETRY_ON, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://localhost:4318/v1/metrics" };
  assert.equal((await diagnose([], env)).statusOf("collector"), "warning");
});

test("with every signal switched off there is no collector to look for", async () => {
  const { statusOf } = await diagnose([], {
    ...TELEMETRY_ON,
    OTEL_TRACES_EXPORTER: "none",
    OTEL_METRICS_EXPORTER: "none",
    OTEL_LOGS_EXPORTER: "none",
  });
  assert.equal(statusOf("collector"), "skipped");
});

test("what a person reads is plain off a terminal, and says the way out of each failure", async () => {
  simulator.fault({ kind: "status", status: 502 }, { host: "data" });
  const { code, stdout, stderr } = await runScriptFile(SCRIPT, {
    env: simulatorEnv(simulator, { ALPACA_BASE_URL: `${simulator.tradingUrl}/v2` }),
  });
  assert.equal(code, 69);
  assert.match(stdout, /^ok {7}trading host and credentials {2}account/m);
  assert.match(stdout, /^failed {3}market data host .*502/m);
  assert.match(stdout, /^ +-> look at Alpaca's status page/m);
  assert.match(stdout, /^warning {2}ALPACA_BASE_URL ends in a version/m);
  assert.ok(!stdout.includes("\u001b") && !stderr.includes("\u001b"));
  assert.match(stderr, /^error: 1 of 4 checks failed/m);
});

test("a configuration that cannot be used ends with 78, and stdout stays empty", async () => {
  const { code, stdout, stderr } = await runScriptFile(SCRIPT, {
    args: ["--json"],
    env: simulatorEnv(simulator, { ALPACA_TIMEOUT_MS: "banana", OTEL_EXPORTER_OTLP_ENDPOINT: "localhost" }),
  });
  assert.equal(code, 78);
  assert.equal(stdout, "");
  assert.match(stderr, /ALPACA_TIMEOUT_MS/);
  assert.match(stderr, /OTEL_EXPORTER_OTLP_ENDPOINT/);
  assert.equal(simulator.counts.trading, 0);
});

test("interrupted while a host hangs, it ends with 130 and prints nothing on stdout", async () => {
  simulator.fault({ kind: "hang" }, { path: "/v2/account" });
  const { child, ended } = startScript(SCRIPT, { args: ["--json"], env: simulatorEnv(simulator) });
  await simulator.waitForRequest(({ path }) => path === "/v2/account");
  child.kill("SIGINT");
  const { code, stdout, stderr } = await ended;
  assert.equal(code, 130);
  assert.equal(stdout, "");
  assert.match(stderr, /Interrupted by SIGINT/);
});
