import process from "node:process";
import { styleText } from "node:util";
import { JobError } from "../src/errors.ts";
import type { DrillEvent } from "../src/local/drill.ts";
import type { DrillExport } from "../src/local/drill-export.ts";
import { runScript } from "../src/script/run-script.ts";

interface DrillResult {
  readonly timeline: readonly DrillEvent[];
  readonly transitions: readonly {
    readonly eventId: string;
    readonly from: string;
    readonly to: string;
    readonly reason: string;
    readonly at: Date;
  }[];
  readonly endpoint: string;
  /** Null when a collector of one's own got it: only it can say. */
  readonly exported: DrillExport | null;
}

await runScript({
  name: "drill",
  description:
    "Plays an outage of a simulated Alpaca, and shows what breaker and telemetry make of it. Needs no account.",
  alpaca: "none",
  run: async ({ config, log, signal, fail }): Promise<DrillResult> => {
    const { EXPECTED_STATES, runDrill } = await import("../src/local/drill.ts");
    const { readBack } = await import("../src/local/drill-export.ts");
    const { startOtlpReceiver } = await import("../src/local/otlp-receiver.ts");
    const named = config.telemetry.signals.traces.endpoint;
    await using receiver = named === null ? await startOtlpReceiver() : null;
    const endpoint = named ?? receiver?.url ?? "";
    log.info(`Outage drill: a simulated Alpaca, a real circuit breaker, telemetry to ${endpoint}\n`);
    const telemetry = receiver ? { ...config.telemetry, ...ownReceiver(receiver.url) } : config.telemetry;
    const run = await runDrill({ telemetry, signal, onEvent: (event) => log.info(describeEvent(event)) });
    log.info("");
    const states = run.transitions.map(({ to }) => to);
    if (states.join() !== EXPECTED_STATES.join()) {
      fail(
        new JobError(
          `Cannot call the drill passed: the circuit went ${states.join(", ")}, expected ${EXPECTED_STATES.join(", ")}`,
        ),
      );
    }
    for (const { signal: name, items, reason } of run.undelivered) {
      fail(
        new JobError(
          `Cannot call the drill passed: ${items} items of ${name} did not arrive at ${endpoint} (${reason})`,
        ),
      );
    }
    const exported = receiver ? readBack(receiver.received, run.transitions) : null;
    for (const problem of exported?.problems ?? []) fail(new JobError(`Cannot call the drill passed: ${problem}`));
    const transitions = run.transitions.map(({ eventId, from, to, reason, at }) => ({ eventId, from, to, reason, at }));
    return { timeline: run.timeline, transitions, endpoint, exported };
  },
  render: ({ transitions, exported, endpoint }: DrillResult, { style, table }) => {
    if (exported === null) return `${transitions.length} state changes were sent to ${endpoint}`;
    const rows = [
      ...exported.spans.map(({ name, count }) => ["span", name, String(count), ""]),
      ...exported.logEvents.map(({ name, count }) => ["log event", name, String(count), ""]),
      ...exported.metrics.map(({ name, points, total }) => [
        "metric",
        name,
        String(points),
        total === null ? "" : String(total),
      ]),
    ];
    const verdict =
      exported.problems.length === 0
        ? style(
            "green",
            `Passed: ${transitions.length} state changes, each arrived exactly once as span, log event and count.`,
          )
        : style("red", "Failed: what was exported does not match what happened.");
    return [
      style("bold", "What a collector receives"),
      table(["signal", "name", "arrived", "total"], rows),
      "",
      verdict,
      "Next: copy .env.example to .env, set your two keys, and run npm run doctor",
    ].join("\n");
  },
});

/** The receiver of the drill itself, whatever else is configured. */
function ownReceiver(url: string) {
  const to = (path: string) => ({ enabled: true, protocol: "http/json" as const, endpoint: `${url}${path}` });
  return { disabled: false, signals: { traces: to("/v1/traces"), metrics: to("/v1/metrics"), logs: to("/v1/logs") } };
}

function describeEvent(event: DrillEvent): string {
  const paint = (format: Parameters<typeof styleText>[0], text: string) =>
    styleText(format, text, { stream: process.stderr });
  const time = paint("dim", `${(event.atMs / 1_000).toFixed(2).padStart(6)}s`);
  if (event.kind === "phase") return `\n${paint("bold", event.text)}`;
  if (event.kind === "transition") {
    const colour = event.to === "open" ? "red" : event.to === "closed" ? "green" : "yellow";
    return `${time}  ${paint([colour, "bold"], `● ${event.from} → ${event.to}`)}  ${paint("dim", event.reason)}`;
  }
  const mark = { success: paint("green", "✓"), failure: paint("red", "✗"), rejected: paint("yellow", "–") }[
    event.outcome
  ];
  return `${time}  ${mark} ${event.call}  ${event.text}`;
}
