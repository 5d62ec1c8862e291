import * as nodeModule from "node:module";
import type { AlpacaClient } from "../alpaca/client.ts";
import type { CircuitBreaker } from "../breaker/circuit-breaker.ts";
import type { Config, ConfigWarning } from "../config/config.ts";
import type { Store } from "../store/store.ts";
import type { Args, Flags } from "./flags.ts";
import type { Log } from "./log.ts";
import type * as Output from "./output.ts";

/** What a script's body gets. */
export interface ScriptContext<F extends Flags = Flags> {
  readonly config: Config;
  /** What is odd about the configuration, of what this script would use. */
  readonly warnings: readonly ConfigWarning[];
  /** Typed calls; they end when the script is interrupted. */
  readonly alpaca: AlpacaClient & { readonly fetch: typeof fetch };
  /** Stored state, shared with every other script; null when it cannot be used. */
  readonly store: Store | null;
  readonly breakers: { readonly trading: CircuitBreaker; readonly data: CircuitBreaker };
  /** For a person, on stderr. */
  readonly log: Log;
  /** Aborted when the script is interrupted. */
  readonly signal: AbortSignal;
  /** Shows one line that is written over, on a terminal. */
  readonly progress: (text: string) => void;
  readonly args: Args<F> & { readonly json: boolean; readonly quiet: boolean };
  /** Makes the script fail after its result was printed, with the exit code of the error. */
  readonly fail: (error: Error) => void;
}

/** A script: one job, its flags, its body, its output. */
export interface ScriptDefinition<F extends Flags = Flags> {
  readonly name: string;
  readonly description: string;
  readonly options?: F;
  /** Words beside the flags, for the help, such as `<command> [name]`; without it there may be none. */
  readonly positionals?: string;
  /** `required`, the default: without Alpaca the script does not run. `none`: it hears no warnings about it either. */
  readonly alpaca?: "required" | "optional" | "none";
  /** Whether this run makes no request at all: it then sends no telemetry, and leaves stored state alone. */
  readonly offline?: (args: Args<F>) => boolean;
  /** Checks flags before anything else happens. @throws {UsageError} */
  readonly check?: (args: Args<F>) => void;
  /** Returns the result: printed as JSON with `--json`, and for a person by `render` or as a table. */
  readonly run: (context: ScriptContext<F>) => unknown;
  /** Says the result for a person; colours only where stdout is a terminal that wants them. */
  // biome-ignore lint/suspicious/noExplicitAny: it takes what `run` returned
  readonly render?: (result: any, output: typeof Output) => string;
}

/**
 * Runs a script from the environment to the exit code, and ends the process: flags, configuration, breakers, telemetry,
 * signals, output and a bounded delivery on every way out.
 */
export async function runScript<const F extends Flags>(definition: ScriptDefinition<F>): Promise<never> {
  const startMs = Date.now();
  // What is imported from here on is compiled once a machine, not once a run: on node that is a third of the start-up.
  // Deno caches by itself and does not know it.
  nodeModule.enableCompileCache?.();
  const { run } = await import("./harness.ts");
  return run(definition, startMs);
}
