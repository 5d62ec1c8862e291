import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Simulator } from "../../src/local/simulator.ts";
import "./env-file.ts";

export const ROOT = join(import.meta.dirname, "../..");

/** How each runtime starts a file; Deno with the permissions that a test is about, or with all of them. */
export const RUNTIMES = {
  node: [process.versions.deno === undefined ? process.execPath : "node"],
  tsx: [process.versions.deno === undefined ? process.execPath : "node", "--import", "tsx"],
  deno: [join(ROOT, "node_modules/deno/deno"), "run", "--no-prompt", "--no-check", "--allow-all"],
} as const;

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly args?: readonly string[];
  /** All that the script sees besides PATH and HOME: nothing of this machine's own configuration. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly runtime?: keyof typeof RUNTIMES;
  readonly cwd?: string;
  /** Commands that a shell runs before it becomes the script, such as a limit. */
  readonly shell?: string;
}

/** Starts a script of the project, by its path from the root, as a process of its own. */
export function startScript(
  file: string,
  options: RunOptions = {},
): { child: ChildProcessWithoutNullStreams; ended: Promise<Outcome> } {
  const [program = "", ...first] = RUNTIMES[options.runtime ?? "node"];
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...options.env };
  const command = [program, ...first, join(ROOT, file), ...(options.args ?? [])];
  const [started = "", ...args] = options.shell
    ? ["/bin/sh", "-c", `${options.shell} exec "$@"`, "sh", ...command]
    : command;
  const child = spawn(started, args, {
    cwd: options.cwd ?? ROOT,
    env: Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined)),
    stdio: "pipe",
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return { child, ended };
}

/** Runs a script to its end. */
export function runScriptFile(file: string, options: RunOptions = {}): Promise<Outcome> {
  return startScript(file, options).ended;
}

const stateDirs = mkdtempSync(join(tmpdir(), "breakwater-test-"));
process.on("exit", () => rmSync(stateDirs, { recursive: true, force: true }));

/** A folder for state that no other test sees. */
export function newStateDir(): string {
  return mkdtempSync(join(stateDirs, "state-"));
}

/** What a script needs to work on a simulator, without telemetry and retries; `more` overrides it. */
export function simulatorEnv(
  simulator: Simulator,
  more: Record<string, string | undefined> = {},
): Record<string, string | undefined> {
  return {
    ALPACA_API_KEY: simulator.keyId,
    ALPACA_API_SECRET: simulator.secretKey,
    ALPACA_BASE_URL: simulator.tradingUrl,
    ALPACA_DATA_URL: simulator.dataUrl,
    ALPACA_MAX_RETRIES: "0",
    OTEL_SDK_DISABLED: "true",
    STATE_DIR: newStateDir(),
    ...more,
  };
}
