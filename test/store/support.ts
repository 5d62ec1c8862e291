import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { openSqlite } from "../../src/store/sqlite.ts";
import type { Store, StoreContext, StoreProblem } from "../../src/store/store.ts";
import { newStateDir, ROOT, RUNTIMES } from "../support/script.ts";

/** A new state file that no other test knows. */
export function newStateFile(): string {
  return join(newStateDir(), "state.sqlite");
}

/** Opens a store on the file, as another run would; problems are collected. */
export function openOn(path: string, more: Partial<StoreContext> = {}): Store & { problems: StoreProblem[] } {
  const problems: StoreProblem[] = [];
  const store = openSqlite(path, {
    script: "test",
    run: crypto.randomUUID(),
    parentSpanId: null,
    signals: ["traces", "metrics", "logs"],
    onProblem: (problem) => problems.push(problem),
    ...more,
  });
  return Object.assign(store, { problems });
}

/** Runs a job of the worker fixture in a process of its own. */
export async function runWorker<T>(
  args: readonly (string | number)[],
  env: Record<string, string> = {},
  runtime: keyof typeof RUNTIMES = "node",
): Promise<{ result: T; problems: string[] }> {
  const child = startWorker(args, env, runtime);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`the worker ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

export function startWorker(
  args: readonly (string | number)[],
  env: Record<string, string> = {},
  runtime: keyof typeof RUNTIMES = "node",
) {
  const [program = "", ...first] = RUNTIMES[runtime];
  const { PATH = "", HOME = "" } = process.env;
  return spawn(program, [...first, join(ROOT, "test/fixtures/store-worker.ts"), ...args.map(String)], {
    env: { PATH, HOME, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}
