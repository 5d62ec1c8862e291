import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { poll } from "./poll.ts";

/** A program of others that runs until it is stopped. */
export interface Daemon {
  /** What it has printed so far. */
  readonly log: () => string;
  /** Ends it and waits for its end: SIGTERM, and SIGKILL when it is still there after 5 s. */
  readonly stop: () => Promise<void>;
}

/** What to start, and how to know that it is ready. */
export interface DaemonOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Answers 200 as soon as the program is ready. */
  readonly readyUrl: string;
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Starts a program and waits until it is ready; throws with what it printed when it ends before or takes over 20 s. */
export async function startDaemon({ command, args, readyUrl, cwd, env = {} }: DaemonOptions): Promise<Daemon> {
  const child = spawn(command, args, {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
  }
  // Should the test be interrupted, nothing that it started stays behind.
  const killChild = () => child.kill("SIGKILL");
  process.once("exit", killChild);
  const ended = once(child, "exit").finally(() => process.off("exit", killChild));
  ended.catch(() => undefined);
  const daemon: Daemon = { log: () => printed, stop: () => stop(child, ended) };
  try {
    await poll(`${command} to be ready`, async () => hasEnded(child) || (await fetch(readyUrl)).ok);
    if (hasEnded(child)) throw new Error(`it ended with ${child.exitCode ?? child.signalCode}`);
  } catch (cause) {
    await daemon.stop();
    throw new Error(`Cannot start ${command}: it did not become ready; it printed:\n${printed}`, { cause });
  }
  return daemon;
}

async function stop(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.pid === undefined || hasEnded(child)) return;
  child.kill("SIGTERM");
  const impatience = setTimeout(() => child.kill("SIGKILL"), 5_000);
  await ended;
  clearTimeout(impatience);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Ports of 127.0.0.1 that nothing listened on a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(async (server) => {
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const address = server.address();
      if (address === null || typeof address === "string") throw new Error("Cannot find a free port: no address");
      return address.port;
    }),
  );
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}
