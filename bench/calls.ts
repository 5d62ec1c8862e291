import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import {
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleAll,
  retry,
  TimeoutStrategy,
  timeout,
  wrap,
} from "cockatiel";
// @ts-expect-error opossum brings no types.
import Opossum from "opossum";
import { createAlpacaFetch } from "../src/alpaca/fetch.ts";
import { openSharedHosts } from "../src/alpaca/shared.ts";
import { CircuitBreaker } from "../src/breaker/circuit-breaker.ts";
import type { Config } from "../src/config/config.ts";
import { parseConfig } from "../src/config/parse.ts";
import { startOtlpReceiver } from "../src/local/otlp-receiver.ts";
import { newSpanId, newTraceId } from "../src/telemetry/recorder.ts";
import { startSession } from "../src/telemetry/sdk.ts";
import { recordAttempt } from "../src/telemetry/signals.ts";
import { interleave, type Spread } from "./stats.ts";

type Call = () => Promise<unknown>;

const CALLS = 320;
const STATE_FILE = join(mkdtempSync(join(tmpdir(), "breakwater-bench-")), "state.sqlite");
process.on("exit", () => rmSync(dirname(STATE_FILE), { recursive: true, force: true }));

/** Microseconds a call takes through each candidate, at the given concurrency. */
async function measure(candidates: Readonly<Record<string, Call>>, concurrency: number, rounds: number) {
  const time = (call: Call) => async () => {
    const startMs = performance.now();
    for (let done = 0; done < CALLS; done += concurrency) await Promise.all(Array.from({ length: concurrency }, call));
    return ((performance.now() - startMs) * 1_000) / CALLS;
  };
  return interleave(rounds, Object.fromEntries(Object.entries(candidates).map(([name, call]) => [name, time(call)])));
}

/** The same call with spans and metrics of the OpenTelemetry SDK, to a collector that answers at once. */
async function withSdk(config: Config): Promise<typeof fetch> {
  const receiver = await startOtlpReceiver();
  const { config: telemetry } = parseConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  const root = { traceId: newTraceId(), spanId: newSpanId(), parentSpanId: null, name: "bench", startMs: Date.now() };
  const session = await startSession({ config: telemetry.telemetry, root });
  return createAlpacaFetch({ config, onAttempt: (attempt) => recordAttempt(session.sink, attempt, root) });
}

async function candidatesFor(url: string): Promise<Record<string, Call>> {
  const headers = { "apca-api-key-id": "PKBENCH000000000000", "apca-api-secret-key": "bench-secret" };
  const bare: Call = async () => (await fetch(url, { headers })).json();
  const { config } = parseConfig({
    ALPACA_API_KEY: headers["apca-api-key-id"],
    ALPACA_API_SECRET: headers["apca-api-secret-key"],
    ALPACA_BASE_URL: new URL(url).origin,
    ALPACA_REQUESTS_PER_MINUTE: "999999999",
  });
  const alpacaFetch = createAlpacaFetch({ config });
  const traced = await withSdk(config);
  const shared = await openSharedHosts({
    config: { ...config, store: { kind: "sqlite", path: STATE_FILE } },
    name: "bench",
  });
  const stored = createAlpacaFetch({ config, hosts: shared.hosts });
  const policy = wrap(
    retry(handleAll, { maxAttempts: 2, backoff: new ExponentialBackoff() }),
    circuitBreaker(handleAll, { halfOpenAfter: 60_000, breaker: new ConsecutiveBreaker(5) }),
    timeout(10_000, TimeoutStrategy.Aggressive),
  );
  const opossum = new Opossum(bare, { timeout: 10_000 });
  return {
    "bare fetch": bare,
    breakwater: async () => (await alpacaFetch(url)).json(),
    "breakwater with SQLite": async () => (await stored(url)).json(),
    "breakwater with the SDK": async () => (await traced(url)).json(),
    "cockatiel retry + breaker + timeout": () =>
      policy.execute(async ({ signal }) => (await fetch(url, { headers, signal })).json()),
    opossum: () => opossum.fire(),
  };
}

/** Microseconds that a healthy call spends in a store on SQLite: a look at the breaker, and a place in the budget. */
async function measureStore(rounds: number): Promise<Spread> {
  const folder = mkdtempSync(join(tmpdir(), "breakwater-bench-"));
  const { config } = parseConfig({
    STATE_DIR: folder,
    ALPACA_API_KEY: "PKBENCH000000000000",
    ALPACA_API_SECRET: "bench-secret",
    ALPACA_REQUESTS_PER_MINUTE: "999999999",
  });
  try {
    await using shared = await openSharedHosts({ config, name: "bench" });
    const { breaker, budget } = shared.hosts.trading;
    const calls = 100;
    const { store } = await interleave(rounds, {
      store: async () => {
        const startMs = performance.now();
        for (let call = 0; call < calls; call++) {
          breaker.check();
          await budget.reserve();
          await (await breaker.enter()).succeed();
        }
        return ((performance.now() - startMs) * 1_000) / calls;
      },
    });
    if (!store) throw new Error("Cannot measure: no round was run");
    return store;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Microseconds of a call that an open circuit rejects. */
async function measureRejected(rounds: number): Promise<Spread> {
  const breaker = new CircuitBreaker({ name: "bench", failureThreshold: 1, recoveryTimeoutMs: 3_600_000 });
  await breaker.recordFailure(new Error("bench"));
  const calls = 20_000;
  const { rejected } = await interleave(rounds, {
    rejected: async () => {
      const startMs = performance.now();
      for (let call = 0; call < calls; call++) {
        try {
          breaker.check();
        } catch {}
      }
      return ((performance.now() - startMs) * 1_000) / calls;
    },
  });
  if (!rejected) throw new Error("Cannot measure: no round was run");
  return rejected;
}

const [url = "", rounds = "15"] = process.argv.slice(2);
const { "breakwater with SQLite": stored, "breakwater with the SDK": traced, ...light } = await candidatesFor(url);
const heavy = {
  "bare fetch": light["bare fetch"],
  "breakwater with SQLite": stored,
  "breakwater with the SDK": traced,
};
const counts = Number(rounds) * 3;
// Apart from each other: what a store and an exporter do behind a call would fall on the ones beside it.
const oneAtATime = await measure(light, 1, counts);
const sixteen = await measure(light, 16, counts);
const heavyOneAtATime = await measure(heavy as Record<string, Call>, 1, counts);
const heavySixteen = await measure(heavy as Record<string, Call>, 16, counts);
const rejected = await measureRejected(Number(rounds));
const store = await measureStore(Number(rounds));
process.stdout.write(`${JSON.stringify({ oneAtATime, sixteen, heavyOneAtATime, heavySixteen, rejected, store })}\n`);
process.exit(0);
