import process from "node:process";
import { createAlpacaClient } from "../alpaca/client.ts";
import { createAlpacaFetch } from "../alpaca/fetch.ts";
import { createAlpacaHosts } from "../alpaca/host.ts";
import type { Config, ConfigWarning } from "../config/config.ts";
import { parseConfig } from "../config/parse.ts";
import { ALIASES, VARIABLE_NAMES } from "../config/variables.ts";
import { AlpacaDisabledError, ConfigError, EXIT, exitCodeOf, InterruptedError, UsageError } from "../errors.ts";
import { readEnvironment } from "./environment.ts";
import { afterFirstRequest } from "./first-request.ts";
import { type Args, describeFlags, type Flags, parseFlags } from "./flags.ts";
import { type Log, StderrLog } from "./log.ts";
import type { ScriptContext, ScriptDefinition } from "./run-script.ts";
import { openSharedState } from "./state.ts";
import { type ScriptOutcome, ScriptTelemetry } from "./telemetry.ts";
import { ExitRequest, Watchman } from "./watchman.ts";

/** Time that an interrupted body has to put things in order. */
const GRACE_MS = 2_000;

/** What runScript promises, as soon as its modules are there. */
export async function run<const F extends Flags>(definition: ScriptDefinition<F>, startMs: number): Promise<never> {
  const log = new StderrLog("info");
  const watchman = new Watchman();
  let args: ReturnType<typeof parseFlags>;
  let config: Config;
  let warnings: ConfigWarning[];
  let telemetry: ScriptTelemetry;
  try {
    args = parseFlags(definition, process.argv.slice(2));
    if (args.help) {
      const { writeResult } = await import("./output.ts");
      await writeResult(describeFlags(definition));
      return watchman.exit(EXIT.done);
    }
    definition.check?.(args as unknown as Args<F>);
  } catch (error) {
    log.error(error instanceof UsageError ? error.message : describe(error));
    return watchman.exit(exitCodeOf(error));
  }
  try {
    const env = readEnvironment([...VARIABLE_NAMES, ...Object.values(ALIASES).flat(), "TRACEPARENT"]);
    ({ config, warnings, telemetry } = configure(definition.name, startMs, env));
  } catch (error) {
    log.error(describe(error));
    const partial = error instanceof ConfigError ? telemetryDespite(definition.name, startMs) : null;
    await partial?.end("failure", exitCodeOf(error));
    return watchman.exit(exitCodeOf(error));
  }
  log.setLevel(args.quiet && config.logLevel !== "error" ? "warn" : config.logLevel);
  if (definition.alpaca === "none") warnings = warnings.filter(({ area }) => area !== "alpaca");
  const isOffline = definition.offline?.(args as unknown as Args<F>) ?? false;
  if (isOffline) telemetry.disable();
  telemetry.start(config.alpaca, warnings);
  for (const { variable, message } of warnings) log.warn(`${variable} ${message}`);

  // What plays on its own simulator leaves the state of real accounts alone.
  const { hosts, store } =
    definition.alpaca === "none" || isOffline
      ? { hosts: createAlpacaHosts({ config }), store: null }
      : await openSharedState(definition.name, config, telemetry, log);
  for (const host of new Set([hosts.trading, hosts.data])) telemetry.watch(host.breaker);
  const { signal } = watchman;
  const wired = {
    config,
    hosts,
    newSpan: () => telemetry.newSpan(),
    onAttempt: telemetry.attempt.bind(telemetry),
  };
  const failures: Error[] = [];
  let requested: number | null = null;
  const finish = async (ended: ScriptOutcome, result?: { value: unknown }): Promise<never> => {
    log.progress("");
    try {
      if (result) await print(definition, args.json, result.value);
    } catch (error) {
      // A result that nobody gets is no success.
      failures.push(error as Error);
    }
    for (const failure of failures) {
      if (failure instanceof InterruptedError) log.info(describe(failure));
      else log.error(describe(failure));
    }
    const failed = failures.length === 0 ? null : exitCodeOf(new AggregateError(failures));
    const exitCode = requested ?? failed ?? Number(process.exitCode ?? EXIT.done);
    const outcome = ended === "success" && exitCode !== 0 ? "failure" : ended;
    for (const host of new Set([hosts.trading, hosts.data]))
      telemetry.budget(host.breaker, await host.budget.remaining());
    await deliver(telemetry, config, log, outcome, exitCode);
    await store?.close();
    return watchman.exit(exitCode);
  };

  if (!config.alpaca.enabled && (definition.alpaca ?? "required") === "required") {
    if (config.alpaca.because === "switched_off") {
      log.info(`${definition.name}: skipped, Alpaca is switched off by ALPACA_ENABLED=false`);
      return finish("skipped", args.json ? { value: { skipped: true } } : undefined);
    }
    const why = "Alpaca is disabled until ALPACA_API_KEY and ALPACA_API_SECRET are set";
    failures.push(new AlpacaDisabledError(`Cannot run ${definition.name}: ${why}`));
    return finish("failure");
  }

  const context: ScriptContext<F> = {
    config,
    warnings,
    alpaca: Object.assign(createAlpacaClient({ ...wired, signal }), { fetch: createAlpacaFetch(wired) }),
    store,
    breakers: { trading: hosts.trading.breaker, data: hosts.data.breaker },
    log,
    signal,
    progress: (text) => log.progress(text),
    args: args as unknown as ScriptContext<F>["args"],
    fail: (error) => failures.push(error),
  };
  const stopWaiting = afterFirstRequest(() => telemetry.load());
  let result: { value: unknown } | undefined;
  try {
    result = { value: await watchman.guard(async () => definition.run(context), GRACE_MS) };
  } catch (error) {
    if (error instanceof ExitRequest) requested = error.status;
    // An error that the interruption caused says nothing of its own.
    else if (!(watchman.interruption && isAbort(error, signal))) failures.push(error as Error);
  }
  stopWaiting();
  if (watchman.interruption) {
    // A body that listened may have put things in order, and has something to say.
    if (!failures.includes(watchman.interruption)) failures.unshift(watchman.interruption);
    return finish("interrupted", result?.value === undefined ? undefined : result);
  }
  return finish(failures.length === 0 && !requested ? "success" : "failure", result);
}

function configure(name: string, startMs: number, env: Record<string, string | undefined>) {
  const { config, warnings } = parseConfig(env);
  return { config, warnings, telemetry: new ScriptTelemetry(name, startMs, config.telemetry, env.TRACEPARENT) };
}

/** A configuration that is wrong elsewhere can still report that it is: a dashboard should not have to guess. */
function telemetryDespite(name: string, startMs: number): ScriptTelemetry | null {
  try {
    const env = readEnvironment([...VARIABLE_NAMES.filter((variable) => variable.startsWith("OTEL_")), "TRACEPARENT"]);
    const { telemetry } = configure(name, startMs, env);
    telemetry.start({ enabled: false, environment: "custom" }, []);
    return telemetry;
  } catch {
    return null;
  }
}

async function print(definition: Pick<ScriptDefinition, "render">, isJson: boolean, value: unknown): Promise<void> {
  const output = await import("./output.ts");
  const { render = output.render } = definition;
  await output.writeResult(isJson ? output.toJson(value) : output.printable(render(value, output)));
}

const ITEMS = { traces: "spans", metrics: "data points", logs: "log records" } as const;

async function deliver(
  telemetry: ScriptTelemetry,
  config: Config,
  log: Log,
  outcome: ScriptOutcome,
  exitCode: number,
): Promise<void> {
  const undelivered = await telemetry.end(outcome, exitCode);
  if (undelivered.length === 0) return;
  const lost = undelivered.map(({ signal, items, reason }) => `${items} ${ITEMS[signal]} (${reason})`).join(", ");
  const isNamed = undelivered.some(({ signal }) => config.telemetry.signals[signal].endpoint !== null);
  log[isNamed ? "warn" : "debug"](
    `the OpenTelemetry collector did not take ${lost}; check OTEL_EXPORTER_OTLP_ENDPOINT`,
  );
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isAbort(error: unknown, signal: AbortSignal): boolean {
  return error === signal.reason || error instanceof InterruptedError || (error as Error)?.name === "AbortError";
}
