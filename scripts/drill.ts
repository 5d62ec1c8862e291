import process from "node:process";
import { styleText } from "node:util";
import { createAlpacaClient } from "../src/alpaca/client.ts";
import { createAlpacaHosts } from "../src/alpaca/host.ts";
import type { Config, TelemetryConfig } from "../src/config/config.ts";
import { parseConfig } from "../src/config/parse.ts";
import { VARIABLE_NAMES } from "../src/config/variables.ts";
import { EXIT, exitCodeOf, JobError } from "../src/errors.ts";
import { DRILL_FAILURES, type DrillCourse, playOutage } from "../src/local/drill-outage.ts";
import { type DrillResult, describeResult, resultOf } from "../src/local/drill-result.ts";
import { describeEntry, introduce } from "../src/local/drill-timeline.ts";
import { startOtlpReceiver } from "../src/local/otlp-receiver.ts";
import { type Simulator, startSimulator } from "../src/local/simulator.ts";
import { readEnvironment } from "../src/script/environment.ts";
import { runScript } from "../src/script/run-script.ts";
import { ScriptTelemetry } from "../src/script/telemetry.ts";

const startMs = Date.now();
// The drill has an Alpaca and a report of its own: the run around it reaches no account, and reports nothing twice.
const givenDisabled = process.env.OTEL_SDK_DISABLED;
process.env.OTEL_SDK_DISABLED = "true";
process.env.ALPACA_ENABLED = "false";

await runScript({
  name: "drill",
  description: "Plays an outage of a simulated Alpaca, and shows what the circuit breaker does and reports.",
  alpaca: "none",
  run: async ({ args, config: given, fail, log, signal }): Promise<DrillResult> => {
    const toCollector = !isDisabled() && isCollectorNamed(given.telemetry);
    await using simulator = await startSimulator();
    await using receiver = toCollector ? null : await startOtlpReceiver();
    if (receiver) forgetSettings();
    const config = configOf(simulator, receiver?.url);
    const telemetryConfig = receiver ? config.telemetry : { ...given.telemetry, disabled: false };
    const tell = (line: string) => args.json || log.info(line);
    const telemetry = new ScriptTelemetry("drill", startMs, telemetryConfig, process.env.TRACEPARENT);
    telemetry.start(config.alpaca, []);
    const hosts = createAlpacaHosts({ config, newSpan: () => telemetry.newSpan() });
    for (const host of [hosts.trading, hosts.data]) telemetry.watch(host.breaker);
    telemetry.load();
    const client = createAlpacaClient({
      config,
      hosts,
      signal,
      newSpan: () => telemetry.newSpan(),
      onAttempt: (attempt) => telemetry.attempt(attempt),
    });
    tell(introduce(config, styleForStderr));
    let course: DrillCourse;
    try {
      course = await playOutage({
        simulator,
        client,
        breaker: hosts.trading.breaker,
        signal,
        onEntry: (entry) => tell(describeEntry(entry, styleForStderr)),
      });
    } catch (error) {
      await telemetry.end(signal.aborted ? "interrupted" : "failure", exitCodeOf(error));
      throw error;
    }
    const isAsScripted = course.deviations.length === 0;
    const undelivered = await telemetry.end(
      isAsScripted ? "success" : "failure",
      isAsScripted ? EXIT.done : EXIT.failed,
    );
    const result = resultOf(course, telemetryConfig, receiver?.received ?? null, undelivered);
    for (const problem of result.problems) fail(new JobError(`Cannot pass the drill: ${problem}`));
    return result;
  },
  render: describeResult,
});

function configOf(simulator: Simulator, endpoint: string | undefined): Config {
  return parseConfig({
    ALPACA_API_KEY: simulator.keyId,
    ALPACA_API_SECRET: simulator.secretKey,
    ALPACA_BASE_URL: simulator.tradingUrl,
    ALPACA_DATA_URL: simulator.dataUrl,
    // Every failure shows as one line of the timeline.
    ALPACA_MAX_RETRIES: "0",
    ALPACA_BREAKER_FAILURE_THRESHOLD: String(DRILL_FAILURES),
    ALPACA_BREAKER_RECOVERY_SECONDS: "1",
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  }).config;
}

function isCollectorNamed({ signals }: TelemetryConfig): boolean {
  return Object.values(signals).some(({ enabled, endpoint }) => enabled && endpoint !== null);
}

/** Whether telemetry is switched off by the environment or `.env`, from before this file did so. */
function isDisabled(): boolean {
  if (givenDisabled === undefined) delete process.env.OTEL_SDK_DISABLED;
  else process.env.OTEL_SDK_DISABLED = givenDisabled;
  return readEnvironment(["OTEL_SDK_DISABLED"]).OTEL_SDK_DISABLED?.trim().toLowerCase() === "true";
}

/** What somebody set for a collector, such as a sampler, must not keep anything from the drill's own receiver. */
function forgetSettings(): void {
  for (const name of VARIABLE_NAMES) if (name.startsWith("OTEL_")) delete process.env[name];
}

function styleForStderr(format: Parameters<typeof styleText>[0], text: string): string {
  return styleText(format, text, { stream: process.stderr });
}
