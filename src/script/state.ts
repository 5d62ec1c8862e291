import { type AlpacaHosts, createAlpacaHosts } from "../alpaca/host.ts";
import type { Config, SignalName } from "../config/config.ts";
import { openStore } from "../store/open.ts";
import type { Store } from "../store/store.ts";
import { TOOLKIT_FOLDER } from "./environment.ts";
import type { Log } from "./log.ts";
import type { ScriptTelemetry } from "./telemetry.ts";

/** Hosts whose breakers and budgets are shared with every other script, and the store that they are kept in. */
export interface SharedState {
  readonly hosts: AlpacaHosts;
  /** Null when it cannot be used, and state is this run's own. */
  readonly store: Store | null;
}

/** Opens the store that is configured, and the hosts on it. What is wrong with it is said and counted; it never throws. */
export async function openSharedState(
  script: string,
  config: Config,
  telemetry: ScriptTelemetry,
  log: Log,
): Promise<SharedState> {
  const report = (message: string) => {
    log.warn(message);
    telemetry.storeError();
  };
  const { disabled, signals } = config.telemetry;
  const exported = (Object.keys(signals) as SignalName[]).filter((signal) => !disabled && signals[signal].enabled);
  const store = await openStore(config.store, TOOLKIT_FOLDER, {
    script,
    run: crypto.randomUUID(),
    parentSpanId: telemetry.root.spanId,
    signals: exported,
    onProblem: ({ message }) => report(message),
  });
  const newSpan = () => telemetry.newSpan();
  if (store === null) return { hosts: createAlpacaHosts({ config, newSpan }), store };
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
  const account = await accountOf(config);
  const hosts = createAlpacaHosts({
    config,
    newSpan,
    cell: (name, host) => store.cell({ name, host }),
    budget: (host) => store.budget(host, account, config.alpaca.requestsPerMinute),
  });
  return { hosts, store };
}

/** What tells accounts apart in the store: a hash of the key, never the key. */
async function accountOf({ alpaca }: Config): Promise<string> {
  if (!alpaca.enabled) return "none";
  // Not node:crypto: on Deno that alone takes a tenth of a second to load.
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(alpaca.credentials.key.reveal()));
  return Array.from(new Uint8Array(digest, 0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
