import type { SpanReference } from "../breaker/state.ts";
import type { Config, SignalName } from "../config/config.ts";
import { openStore } from "../store/open.ts";
import { SIGNALS, type Store, type StoreProblem } from "../store/store.ts";
import { type AlpacaHosts, createAlpacaHosts } from "./host.ts";

/** How a program takes part in the state that all scripts share. */
export interface SharedHostsOptions {
  readonly config: Config;
  /** Name of the program, in the history of state changes. */
  readonly name: string;
  /** Hears of a store that cannot be used; state is then this process's own. Nothing by default. */
  readonly onProblem?: (problem: StoreProblem) => void;
  /**
   * Signals in which this program delivers state changes itself; what is not delivered, the next script sends. All three
   * by default, so that a program without telemetry of its own is reported by the scripts.
   */
  readonly signals?: readonly SignalName[];
  /** Span that state changes belong under; none by default. */
  readonly parentSpanId?: string | null;
  /** Names the span of a state change. */
  readonly newSpan?: () => SpanReference;
}

/** Hosts whose breakers and budgets are shared, and the store that they are kept in. */
export interface SharedHosts extends AsyncDisposable {
  /** For createAlpacaFetch and createAlpacaClient. */
  readonly hosts: AlpacaHosts;
  /** Null when it cannot be used, and state is this process's own. */
  readonly store: Store | null;
  close(): Promise<void>;
}

/**
 * Opens the store that the configuration names, and on it the breaker and budget of each host: a circuit that one script
 * opened is open for this program, and the other way round. It never throws; `onProblem` hears of what is wrong.
 */
export async function openSharedHosts(options: SharedHostsOptions): Promise<SharedHosts> {
  const { config, name, onProblem = () => {}, signals = SIGNALS, parentSpanId = null } = options;
  const newSpan = options.newSpan && { newSpan: options.newSpan };
  const store = await openStore(config.store, {
    script: name,
    run: crypto.randomUUID(),
    parentSpanId,
    signals,
    onProblem,
  });
  const account = await accountOf(config);
  const shared = store && {
    cell: (breaker: string, host: string) => store.cell({ name: breaker, host }),
    budget: (host: string) => store.budget(host, account, config.alpaca.requestsPerMinute),
  };
  const close = async () => {
    await store?.close();
  };
  return { hosts: createAlpacaHosts({ config, ...newSpan, ...shared }), store, close, [Symbol.asyncDispose]: close };
}

/** What tells accounts apart in the store: a hash of the key, never the key. */
async function accountOf({ alpaca }: Config): Promise<string> {
  if (!alpaca.enabled) return "none";
  // Not node:crypto: on Deno that alone takes a tenth of a second to load.
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(alpaca.credentials.key.reveal()));
  return Array.from(new Uint8Array(digest, 0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
