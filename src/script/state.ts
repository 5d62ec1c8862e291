import { openSharedHosts, type SharedHosts } from "../alpaca/shared.ts";
import type { Config, SignalName } from "../config/config.ts";
import type { Log } from "./log.ts";
import type { ScriptTelemetry } from "./telemetry.ts";

/** Opens the state that a script shares with all others. What is wrong with it is said and counted; it never throws. */
export async function openSharedState(
  script: string,
  config: Config,
  telemetry: ScriptTelemetry,
  log: Log,
): Promise<SharedHosts> {
  const report = (message: string) => {
    log.warn(message);
    telemetry.storeError();
  };
  const { disabled, signals } = config.telemetry;
  const shared = await openSharedHosts({
    config,
    name: script,
    parentSpanId: telemetry.root.spanId,
    signals: (Object.keys(signals) as SignalName[]).filter((signal) => !disabled && signals[signal].enabled),
    newSpan: () => telemetry.newSpan(),
    onProblem: ({ message }) => report(message),
  });
  const { store } = shared;
  if (store === null) return shared;
  telemetry.keep(store, () => telemetry.storeError());
  try {
    const dropped = await store.outbox.prune();
    if (dropped > 0) {
      log.warn(
        `${dropped} state changes were given up: no collector took them, and the outbox is full or they are too old`,
      );
      telemetry.dropped(dropped);
    }
  } catch (error) {
    report(`cannot tidy the outbox: ${error instanceof Error ? error.message : String(error)}`);
  }
  return shared;
}
