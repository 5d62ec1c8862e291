import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { type AlpacaFetchOptions, createAlpacaFetch } from "../../src/alpaca/fetch.ts";
import { createAlpacaHosts } from "../../src/alpaca/host.ts";
import type { Sleep } from "../../src/alpaca/sleep.ts";
import type { CallOutcome, Transition } from "../../src/breaker/state.ts";
import type { Config } from "../../src/config/config.ts";
import { type Environment, parseConfig } from "../../src/config/parse.ts";
import { SIMULATOR_CREDENTIALS } from "../../src/local/access.ts";
import { listenOnLoopback } from "../../src/local/loopback-server.ts";

/** A whole second, so that the seconds of HTTP dates lose nothing. */
export const START_MS = Date.parse("2026-11-24T15:00:00Z");

/** Time that moves only when a test, or a sleep in it, says so. */
export class FakeTime {
  nowMs = START_MS;
  /** Every sleep that was asked for, in ms. */
  readonly waits: number[] = [];
  readonly now = () => this.nowMs;
  /** Ends at once, and time has passed. */
  readonly sleep: Sleep = async (durationMs, signal) => {
    signal?.throwIfAborted();
    this.waits.push(durationMs);
    this.nowMs += durationMs;
  };
}

/** Time in which sleepers wait until the test moves it. */
export class ManualTime {
  nowMs = START_MS;
  readonly now = () => this.nowMs;
  #sleepers: { wakeMs: number; wake: () => void }[] = [];

  readonly sleep: Sleep = (durationMs, signal) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const sleeper = {
        wakeMs: this.nowMs + durationMs,
        wake: () => {
          signal?.removeEventListener("abort", stop);
          resolve();
        },
      };
      const stop = () => {
        this.#sleepers = this.#sleepers.filter((one) => one !== sleeper);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", stop, { once: true });
      this.#sleepers.push(sleeper);
    });

  get sleeping(): number {
    return this.#sleepers.length;
  }

  get nextWakeMs(): number {
    return Math.min(...this.#sleepers.map(({ wakeMs }) => wakeMs));
  }

  /** Moves time, and wakes who is due in the order of their times. */
  async advanceTo(nowMs: number): Promise<void> {
    this.nowMs = nowMs;
    const due = this.#sleepers.filter(({ wakeMs }) => wakeMs <= nowMs).sort((a, b) => a.wakeMs - b.wakeMs);
    this.#sleepers = this.#sleepers.filter((one) => !due.includes(one));
    for (const { wake } of due) wake();
    await turn();
  }

  async untilSleeping(count: number): Promise<void> {
    await until(() => this.sleeping >= count);
  }
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export async function until(isDone: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 10_000;
  while (!isDone()) {
    if (Date.now() > deadlineMs) throw new Error("waited in vain");
    await turn();
  }
}

interface Urls {
  readonly tradingUrl: string;
  readonly dataUrl?: string;
}

/** A configuration for local servers: retries off, unless `env` says otherwise. */
export function configFor({ tradingUrl, dataUrl = tradingUrl }: Urls, env: Environment = {}): Config {
  return parseConfig({
    ALPACA_API_KEY: SIMULATOR_CREDENTIALS.keyId,
    ALPACA_API_SECRET: SIMULATOR_CREDENTIALS.secretKey,
    ALPACA_BASE_URL: tradingUrl,
    ALPACA_DATA_URL: dataUrl,
    ALPACA_MAX_RETRIES: "0",
    ...env,
  }).config;
}

/** The fetch under test, with what its breakers have to say. */
export function setUp(
  urls: Urls,
  env: Environment = {},
  { time = new FakeTime(), ...options }: Partial<AlpacaFetchOptions> & { time?: FakeTime } = {},
) {
  const config = configFor(urls, env);
  const now = options.now ?? time.now;
  const hosts = createAlpacaHosts({ config, now });
  const outcomes: CallOutcome[] = [];
  const transitions: Transition[] = [];
  hosts.trading.breaker.onOutcome((outcome) => outcomes.push(outcome));
  hosts.trading.breaker.onTransition((transition) => transitions.push(transition));
  const alpacaFetch = createAlpacaFetch({
    config,
    hosts,
    now,
    sleep: time.sleep,
    random: () => 0,
    ...options,
  });
  return { alpacaFetch, config, hosts, breaker: hosts.trading.breaker, outcomes, transitions, time };
}

/** Consecutive failures that a closed circuit remembers. */
export function failuresOf(breaker: { record: { automatic: { state: string; failures?: number } } }): number {
  return breaker.record.automatic.failures ?? -1;
}

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

type Answer = (response: ServerResponse, request: Received) => void;

/** A server that answers with `answers` one after the other, the last one again and again, and records what came. */
export async function startScripted(...answers: Answer[]) {
  const requests: Received[] = [];
  const server = await listenOnLoopback(async (request, response) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method = "", url = "", headers } = request;
    const received = { method, url, headers, body: Buffer.concat(chunks).toString() };
    const answer = answers[Math.min(requests.length, answers.length - 1)];
    requests.push(received);
    answer?.(response, received);
  });
  return { ...server, tradingUrl: server.url, requests, [Symbol.asyncDispose]: server.close };
}

export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(value));
  };
}

/** A port of this machine that nothing listens on. */
export async function deadUrl(): Promise<string> {
  const server = await listenOnLoopback(() => {});
  await server.close();
  return server.url;
}

/** What a promise is rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  const answer = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("error" in answer) return answer.error;
  throw new Error("expected a rejection");
}
