import type { Transition } from "../breaker/state.ts";
import type { TelemetryConfig } from "../config/config.ts";
import type * as Output from "../script/output.ts";
import type { Undelivered } from "../telemetry/sdk.ts";
import { type ExportedRow, exportedRows, missingOf, type Sightings, sightingsOf } from "./drill-exports.ts";
import type { DrillCourse } from "./drill-outage.ts";
import { type DrillEntry, describeChange, seconds } from "./drill-timeline.ts";
import type { Received } from "./otlp-receiver.ts";

/** What a drill leaves behind, for a person and for `--json`. */
export interface DrillResult {
  readonly timeline: readonly DrillEntry[];
  readonly transitions: readonly DrillTransition[];
  readonly exported: Exported;
  /** What did not go as scripted, or did not arrive; nothing when all is well. */
  readonly problems: readonly string[];
}

export interface DrillTransition {
  readonly eventId: string;
  readonly breaker: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
  readonly at: Date;
  readonly elapsedMs: number;
  /** Null when a collector got it, which nobody reads back. */
  readonly arrived: Sightings | null;
}

type Exported =
  /** A receiver of the drill's own, read back. */
  | { readonly to: "receiver"; readonly rows: readonly ExportedRow[] }
  /** The collectors that the environment names, by origin. */
  | {
      readonly to: "collector";
      readonly origins: readonly string[];
      readonly undelivered: readonly Undelivered[];
    };

const ITEMS = { traces: "spans", metrics: "data points", logs: "log records" } as const;

/** Puts together how the outage went and what arrived of it. `received` is null where a collector got it. */
export function resultOf(
  course: DrillCourse,
  config: TelemetryConfig,
  received: Received | null,
  undelivered: readonly Undelivered[],
): DrillResult {
  const sightings = received && sightingsOf(received, course.transitions);
  const transitions = course.transitions.map((transition, at) => ({
    ...pick(transition),
    elapsedMs: course.timeline.find((entry) => isOf(entry, transition))?.elapsedMs ?? 0,
    arrived: sightings?.[at] ?? null,
  }));
  const lost = undelivered.map(({ signal, items, reason }) => `${items} ${ITEMS[signal]} (${reason})`).join(", ");
  return {
    timeline: course.timeline,
    transitions,
    exported: received
      ? { to: "receiver", rows: exportedRows(received) }
      : { to: "collector", origins: originsOf(config), undelivered },
    problems: [
      ...course.deviations,
      ...(lost ? [`the collector did not take ${lost}`] : []),
      ...(received ? missingOf(received, course.transitions) : []),
    ],
  };
}

/** The end of a drill: what was exported, and whether all of it arrived. */
export function describeResult(result: DrillResult, { style, table }: typeof Output): string {
  const { transitions, exported } = result;
  const changes = table(
    ["at", "state change", "reason", "event id", ...(exported.to === "receiver" ? ["span", "log", "counter"] : [])],
    transitions.map(({ elapsedMs, reason, eventId, arrived, ...change }) => [
      seconds(elapsedMs),
      describeChange(change as Transition),
      reason,
      eventId.slice(0, 8),
      ...(arrived ? [`${arrived.spans}x`, `${arrived.logs}x`, `${arrived.counted} of ${arrived.due}`] : []),
    ]),
  );
  const blocks =
    exported.to === "receiver"
      ? [
          `${style("bold", "What arrived")}  ${style("dim", "at an OTLP receiver of the drill's own")}`,
          table(
            ["signal", "name", "records", ""],
            exported.rows.map(({ signal, name, records, says }) => [signal, name, String(records), style("dim", says)]),
          ),
          `${style("bold", "State changes")}  ${style("dim", "each by its event id, in every signal")}`,
          changes,
        ]
      : [
          `${style("bold", "What was sent")}  ${style("dim", `to ${exported.origins.join(" and ")}`)}`,
          changes,
          style("dim", "each as a span, a log event and +1 of the counter circuit_breaker.transitions"),
        ];
  return ["", ...blocks.flatMap((block) => [block, ""]), verdictOf(result, style)].join("\n");
}

function verdictOf({ transitions, exported, problems }: DrillResult, style: typeof Output.style): string {
  const { length } = problems;
  if (length > 0) return style(["bold", "red"], `Not as scripted: ${length} problem${length === 1 ? "" : "s"}`);
  const all = `all ${transitions.length} state changes`;
  if (exported.to === "collector") return style(["bold", "green"], `As scripted: the collector took ${all}`);
  return [
    style(["bold", "green"], `As scripted: ${all} arrived exactly once in every signal`),
    style("dim", "Your collector gets them with OTEL_EXPORTER_OTLP_ENDPOINT. Next: npm run doctor"),
  ].join("\n");
}

// The origin alone: user, path or query of a URL may hold a token.
function originsOf({ signals }: TelemetryConfig): string[] {
  const named = Object.values(signals).filter(({ enabled, endpoint }) => enabled && endpoint !== null);
  return [...new Set(named.map(({ endpoint }) => new URL(endpoint ?? "").origin))];
}

function pick({ eventId, breaker, from, to, reason, at }: Transition) {
  return { eventId, breaker, from, to, reason, at };
}

function isOf(entry: DrillEntry, { eventId }: Transition): boolean {
  return entry.kind === "transition" && entry.eventId === eventId;
}
