import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { seededRandom } from "../../src/local/seeded-random.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import type { Store, StoreContext, StoreProblem } from "../../src/store/store.ts";
import { newStateDir, type RUNTIMES, startScript } from "../support/script.ts";

const WORKER = "test/fixtures/store-worker.ts";

/** How many processes are killed; CI runs the whole campaign. */
export const KILLS = Number(process.env.BREAKWATER_KILLS ?? (process.env.CI ? "200" : "40"));

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

/** What a worker says of its job. */
export interface Work<T> {
  readonly result: T;
  readonly problems: string[];
}

/** Runs a job of the worker fixture in a process of its own. */
export async function runWorker<T>(
  args: readonly (string | number)[],
  env: Record<string, string> = {},
  runtime: keyof typeof RUNTIMES = "node",
): Promise<Work<T>> {
  const { code, stdout, stderr } = await startScript(WORKER, { args: args.map(String), env, runtime }).ended;
  if (code !== 0) throw new Error(`the worker ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

/** Has a job done on one path after the other, each time by all racers at the same moment: they wait for each other. */
export async function raceOn<T>(paths: readonly string[], racers: number, job: string, amount: number) {
  const workers = Array.from({ length: racers }, () => startScript(WORKER, { args: [job, "-", String(amount)] }).child);
  const answers = workers.map(({ stdout, stderr }) => {
    let complaint = "";
    stderr.on("data", (chunk) => {
      complaint += chunk;
    });
    const lines = createInterface(stdout)[Symbol.asyncIterator]();
    return async () => {
      const { done, value } = await lines.next();
      if (done) throw new Error(`a worker ended too early: ${complaint}`);
      return value;
    };
  });
  const all = () => Promise.all(answers.map((answer) => answer()));
  const rounds: { path: string; work: Work<T>[] }[] = [];
  try {
    await all();
    for (const path of paths) {
      for (const { stdin } of workers) stdin.write(`${path}\n`);
      rounds.push({ path, work: (await all()).map((line) => JSON.parse(line)) });
    }
  } finally {
    for (const { stdin } of workers) stdin.end();
  }
  return rounds;
}

/** Kills pairs of workers that open and close one breaker, at random moments after each made two changes itself. */
export async function killWhileChanging(database: string, kills: number): Promise<void> {
  const random = seededRandom("kills");
  // Short, so that a pair soon goes on where the last one took the probe with it.
  const env = { THRESHOLD: "1", RECOVERY_MS: "0", LEASE_MS: "100" };
  for (let kill = 0; kill < kills; kill += 2) {
    const workers = [0, 1].map(() => startScript(WORKER, { args: ["flap", database], env }).child);
    await Promise.all(
      workers.map(async ({ stdout }) => {
        for (let changes = 0; changes < 2; ) changes += (await once(stdout, "data"))[0].length;
      }),
    );
    await Promise.all(
      workers.map(async (worker) => {
        setTimeout(() => worker.kill("SIGKILL"), random() * 20);
        await once(worker, "close");
      }),
    );
  }
}
