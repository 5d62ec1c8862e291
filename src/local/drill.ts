import { createAlpacaClient } from "../alpaca/client.ts";
import { createAlpacaHosts } from "../alpaca/host.ts";
import { sleep } from "../alpaca/sleep.ts";
import type { Transition } from "../breaker/state.ts";
import type { TelemetryConfig } from "../config/config.ts";
import { parseConfig } from "../config/parse.ts";
import { AlpacaError, CircuitBreakerOpenError } from "../errors.ts";
import { ScriptTelemetry } from "../script/telemetry.ts";
import type { Undelivered } from "../telemetry/delivery.ts";
import { startSimulator } from "./simulator.ts";

/** Something that happened in the drill, `atMs` after its start. */
export type DrillEvent = { readonly atMs: number } & (
  | { readonly kind: "phase"; readonly text: string }
  | {
      readonly kind: "call";
      readonly call: string;
      readonly outcome: "success" | "failure" | "rejected";
      readonly text: string;
    }
  | {
      readonly kind: "transition";
      readonly from: string;
      readonly to: string;
      readonly reason: string;
      readonly eventId: string;
    }
);

/** How the drill went. */
export interface DrillRun {
  readonly timeline: readonly DrillEvent[];
  readonly transitions: readonly Transition[];
  readonly undelivered: readonly Undelivered[];
}

/** The way that the circuit must go. */
export const EXPECTED_STATES = ["open", "half_open", "open", "half_open", "closed"] as const;

const FAILURE_THRESHOLD = 3;
const RECOVERY_SECONDS = "0.8";

/**
 * Drives a real breaker, fetch and client through an outage of a simulated Alpaca, and sends what happens to the
 * collector that `telemetry` names. It uses no account, and nothing of the user's configuration for Alpaca.
 */
export async function runDrill(options: {
  readonly telemetry: TelemetryConfig;
  readonly onEvent: (event: DrillEvent) => void;
  readonly signal: AbortSignal;
}): Promise<DrillRun> {
  await using simulator = await startSimulator();
  const { config } = parseConfig({
    ALPACA_API_KEY: simulator.keyId,
    ALPACA_API_SECRET: simulator.secretKey,
    ALPACA_BASE_URL: simulator.tradingUrl,
    ALPACA_DATA_URL: simulator.dataUrl,
    ALPACA_MAX_RETRIES: "0",
    ALPACA_BREAKER_FAILURE_THRESHOLD: String(FAILURE_THRESHOLD),
    ALPACA_BREAKER_RECOVERY_SECONDS: RECOVERY_SECONDS,
  });
  const startMs = Date.now();
  const timeline: DrillEvent[] = [];
  const transitions: Transition[] = [];
  type Happening = DrillEvent extends infer E ? (E extends DrillEvent ? Omit<E, "atMs"> : never) : never;
  const tell = (event: Happening) => {
    const timed = { atMs: Date.now() - startMs, ...event } as DrillEvent;
    timeline.push(timed);
    options.onEvent(timed);
  };

  const telemetry = new ScriptTelemetry("drill", startMs, options.telemetry, undefined);
  telemetry.start(config.alpaca, []);
  telemetry.load();
  const hosts = createAlpacaHosts({ config });
  const { breaker } = hosts.trading;
  telemetry.watch(breaker);
  breaker.onTransition((transition) => {
    const { from, to, reason, eventId } = transition;
    transitions.push(transition);
    tell({ kind: "transition", from, to, reason, eventId });
  });
  const alpaca = createAlpacaClient({
    config,
    hosts,
    newSpan: () => telemetry.newSpan(),
    onAttempt: (attempt) => telemetry.attempt(attempt),
    signal: options.signal,
  });
  const call = async () => {
    const name = "GET /v2/clock";
    try {
      await alpaca.getClock();
      tell({ kind: "call", call: name, outcome: "success", text: "200" });
    } catch (error) {
      if (error instanceof CircuitBreakerOpenError) {
        tell({
          kind: "call",
          call: name,
          outcome: "rejected",
          text: `rejected, come back in ${error.retryAfterMs} ms`,
        });
      } else if (error instanceof AlpacaError) {
        tell({ kind: "call", call: name, outcome: "failure", text: `${error.status}` });
      } else {
        throw error;
      }
    }
  };
  const untilProbe = async () => {
    while (breaker.state === "open") await sleep(breaker.timeUntilRecoveryMs ?? 0, options.signal);
  };

  tell({ kind: "phase", text: "All is well: calls go through" });
  await call();
  await call();
  const repair = simulator.fault({ kind: "status", status: 503 });
  tell({ kind: "phase", text: `Alpaca goes down: ${FAILURE_THRESHOLD} failures in a row open the circuit` });
  for (let failures = 0; failures < FAILURE_THRESHOLD; failures++) await call();
  tell({ kind: "phase", text: "Open: calls are rejected at once, and Alpaca is left in peace" });
  await call();
  await call();
  await untilProbe();
  tell({ kind: "phase", text: "The cooldown is over: one call may test, and Alpaca is still down" });
  await call();
  tell({ kind: "phase", text: "Open again, and for twice as long; meanwhile Alpaca recovers" });
  repair();
  await call();
  await untilProbe();
  tell({ kind: "phase", text: "One call may test again, and this time it works" });
  await call();
  tell({ kind: "phase", text: "Closed: calls go through again" });
  await call();
  const undelivered = await telemetry.end("success", 0);
  return { timeline, transitions, undelivered };
}
