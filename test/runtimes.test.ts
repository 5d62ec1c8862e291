import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { type OtlpReceiver, startOtlpReceiver } from "../src/local/otlp-receiver.ts";
import { type Simulator, startSimulator } from "../src/local/simulator.ts";

const ROOT = join(import.meta.dirname, "..");
const LIMIT_MS = 60_000;

type Script = "status" | "drill";

/** The command line of a script, with the very flags of its Deno task on Deno. */
const RUNTIMES: Readonly<Record<string, (script: Script) => readonly string[]>> = {
  node: (script) => [process.execPath, `scripts/${script}.ts`],
  tsx: (script) => [process.execPath, "--import", "tsx", `scripts/${script}.ts`],
  deno: (script) => [join(ROOT, "node_modules/.bin/deno"), ...denoArguments(script)],
};

function denoArguments(script: Script): string[] {
  const { tasks } = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8"));
  const [deno, ...words] = tasks[script].command.split(" ");
  // The substitution of the task's shell.
  assert.equal(`${deno} ${words.shift()}`, "$(which deno)");
  assert.ok(words.includes("--no-prompt"));
  return words;
}

interface Run {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(
  command: readonly string[],
  env: Record<string, string>,
  whenStarted?: (stop: (signal: NodeJS.Signals) => void) => Promise<void>,
): Promise<Run> {
  const [program = "", ...args] = command;
  const { PATH = "", HOME = "" } = process.env;
  const child = spawn(program, args, { cwd: ROOT, env: { PATH, HOME, ...env }, timeout: LIMIT_MS });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => (output.stdout += chunk));
  child.stderr.on("data", (chunk) => (output.stderr += chunk));
  const ended = new Promise<Run>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (exitCode) => resolve({ exitCode, ...output }));
  });
  const started = whenStarted?.((signal) => child.kill(signal));
  return Promise.all([ended, started]).then(([result]) => result);
}

for (const [runtime, commandOf] of Object.entries(RUNTIMES)) {
  describe(`on ${runtime}`, () => {
    let simulator: Simulator;
    let receiver: OtlpReceiver;
    let env: Record<string, string>;
    // Within the folder that a task may write to.
    const stateDir = `./.breakwater/test-${process.pid}-${runtime.replaceAll(/\W/g, "-")}`;

    before(async () => {
      simulator = await startSimulator();
      receiver = await startOtlpReceiver();
      env = {
        ALPACA_API_KEY: simulator.keyId,
        ALPACA_API_SECRET: simulator.secretKey,
        ALPACA_BASE_URL: simulator.tradingUrl,
        ALPACA_DATA_URL: simulator.dataUrl,
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      };
    });
    after(async () => {
      await simulator.close();
      await receiver.close();
      rmSync(join(ROOT, stateDir), { recursive: true, force: true });
    });

    // Each run has state of its own: a circuit that one test opens is not another one's.
    let runs = 0;
    const ownState = () => ({ STATE_DIR: `${stateDir}/${++runs}` });
    const status = (overrides: Record<string, string> = {}, flags: readonly string[] = []) =>
      run([...commandOf("status"), ...flags], { ...env, ...ownState(), ...overrides });
    const lastExitCode = () => receiver.received.points.findLast(({ name }) => name === "script.exit_code")?.value;
    const rootSpans = () => receiver.received.spans.filter(({ name }) => name === "script status");

    test("status prints one JSON document, and its telemetry arrives", async () => {
      const { exitCode, stdout, stderr } = await status({}, ["--json"]);
      assert.equal(exitCode, 0, stderr);
      assert.equal(JSON.parse(stdout).account.status, "ACTIVE");
      assert.equal(stderr, "");
      assert.equal(rootSpans().length, 1);
      assert.equal(receiver.received.spans.filter(({ name }) => name === "GET /v2/account").length, 1);
      assert.ok(receiver.received.points.some(({ name }) => name === "circuit_breaker.state"));
    });

    test("an outage opens the breaker: exit 69, and the state change arrives once in every signal", async () => {
      const recover = simulator.fault({ kind: "status", status: 503 }, { host: "trading" });
      const { exitCode, stdout, stderr } = await status({ ALPACA_BREAKER_FAILURE_THRESHOLD: "3" });
      recover();
      assert.equal(exitCode, 69, stderr);
      assert.equal(stdout, "");
      const { spans, logs, points } = receiver.received;
      const opened = logs.filter(({ eventName }) => eventName === "circuit_breaker.opened");
      assert.equal(opened.length, 1);
      assert.equal(spans.filter(({ name }) => name === "circuit_breaker transition").length, 1);
      const counted = points.filter(({ name }) => name === "circuit_breaker.transitions");
      assert.deepEqual(
        counted.map(({ value }) => value),
        [1],
      );
      assert.equal(lastExitCode(), 69);
    });

    test("an unknown flag exits 2, no credentials 78, refused ones 77, none wanted 0", async () => {
      const outcomes = await Promise.all([
        status({}, ["--banana"]),
        status({ ALPACA_API_KEY: "", ALPACA_API_SECRET: "" }),
        status({ ALPACA_API_SECRET: "anotherSecret" }),
        status({ ALPACA_ENABLED: "false" }),
      ]);
      assert.deepEqual(
        outcomes.map(({ exitCode }) => exitCode),
        [2, 78, 77, 0],
        outcomes.map(({ stderr }) => stderr).join("\n"),
      );
      assert.ok(outcomes.every(({ stdout, stderr }) => !`${stdout}${stderr}`.includes("anotherSecret")));
    });

    test("SIGTERM in mid-run exits 143, and telemetry is delivered", async () => {
      const release = simulator.fault({ kind: "hang" }, { path: "/v2/account" });
      simulator.clearRequests();
      const before = rootSpans().length;
      const { exitCode, stderr } = await run(commandOf("status"), { ...env, ...ownState() }, async (stop) => {
        await simulator.waitForRequest(({ path }) => path === "/v2/account", LIMIT_MS);
        stop("SIGTERM");
      });
      release();
      assert.equal(exitCode, 143, stderr);
      assert.equal(rootSpans().length, before + 1);
      assert.equal(rootSpans().at(-1)?.attributes["script.outcome"], "interrupted");
      assert.equal(lastExitCode(), 143);
    });

    test("drill passes without an account and a collector", async () => {
      const { exitCode, stdout, stderr } = await run(commandOf("drill"), { NO_COLOR: "1" });
      assert.equal(exitCode, 0, stderr);
      assert.match(stdout, /all 5 state changes arrived exactly once in every signal/);
      assert.doesNotMatch(stderr, /warning|error/);
    });
  });
}
