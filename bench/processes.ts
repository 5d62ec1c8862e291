import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";

const HERE = import.meta.dirname;

/** Programs of one runtime each, started with a file. */
export const RUNTIMES: Readonly<Record<string, readonly string[]>> = {
  node: [process.execPath],
  tsx: [process.execPath, join(HERE, "../node_modules/tsx/dist/cli.mjs")],
  deno: [join(HERE, "../node_modules/deno/deno"), "run", "--no-check", "--allow-all", "--no-prompt"],
};

/** Starts a program of this folder that prints its port, and resolves with it. */
export async function startServer(file: string, ...args: string[]): Promise<{ port: number; stop(): void }> {
  const child = spawn(process.execPath, [join(HERE, file), ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  return { port: Number(line), stop: () => child.kill() };
}

/** Wall time of one run of a file of this folder, in ms. @throws when it fails. */
export async function timeRun(runtime: string, file: string, env: Record<string, string>): Promise<number> {
  const [program = "", ...args] = RUNTIMES[runtime] ?? [];
  const startMs = performance.now();
  const child: ChildProcess = spawn(program, [...args, join(HERE, file)], {
    stdio: ["ignore", "ignore", "ignore"],
    env: { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "", ...env },
  });
  const [code] = (await once(child, "exit")) as [number | null];
  const ms = performance.now() - startMs;
  if (code !== 0) throw new Error(`Cannot measure ${file} on ${runtime}: it ended with exit code ${code}`);
  return ms;
}
