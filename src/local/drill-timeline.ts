import type { styleText } from "node:util";
import type { CircuitState, TransitionReason } from "../breaker/state.ts";
import type { Config } from "../config/config.ts";

/** Something that happened in a drill. */
export type DrillEntry = { readonly at: Date; readonly elapsedMs: number } & (
  | { readonly kind: "phase"; readonly title: string; readonly explanation: string }
  | {
      readonly kind: "call";
      /** Such as `GET /v2/clock`. */
      readonly call: string;
      /** `answered` also when the answer says that the caller is wrong; `rejected` means that no request was made. */
      readonly result: "answered" | "failed" | "rejected";
      readonly status: number | null;
      /** Time until a rejected call may be tried again. */
      readonly retryAfterMs: number | null;
      readonly note: string;
    }
  | {
      readonly kind: "transition";
      readonly eventId: string;
      readonly from: CircuitState;
      readonly to: CircuitState;
      readonly reason: TransitionReason;
      /** How long calls are rejected from now on. */
      readonly cooldownMs: number | null;
    }
);

export type DrillCall = Extract<DrillEntry, { kind: "call" }>;

type Style = (format: Parameters<typeof styleText>[0], text: string) => string;

const COLOUR = { closed: "green", open: "red", half_open: "yellow", isolated: "magenta" } as const;
const RESULT_COLOUR = { answered: "green", failed: "red", rejected: "yellow" } as const;

/** The first lines of a drill. */
export function introduce({ alpaca }: Config, style: Style): string {
  const { failureThreshold, recoveryTimeoutMs } = alpaca.breaker;
  const policy = `opens after ${failureThreshold} failures in a row, tries again after ${seconds(recoveryTimeoutMs)}`;
  return [
    style("bold", "An outage of Alpaca, in five seconds and without an account"),
    style("dim", `Alpaca here is a simulator at ${alpaca.baseUrl}; the circuit breaker is`),
    style("dim", `the real one: it ${policy}.`),
  ].join("\n");
}

/** A line of the timeline, at most 80 columns wide; a phase has an empty one before it. */
export function describeEntry(entry: DrillEntry, style: Style): string {
  const time = style("dim", `${seconds(entry.elapsedMs).padStart(7)}`);
  switch (entry.kind) {
    case "phase":
      return `\n${style("bold", entry.title)}  ${style("dim", entry.explanation)}`;
    case "call": {
      const result = entry.result === "rejected" ? "rejected" : String(entry.status ?? "no answer");
      return `${time}  ${entry.call.padEnd(25)}  ${style(RESULT_COLOUR[entry.result], result.padEnd(9))} ${style("dim", entry.note)}`.trimEnd();
    }
    case "transition": {
      const change = style(["bold", COLOUR[entry.to]], `● ${describeChange(entry).padEnd(25)}`);
      return `${time}  ${change}${describeReason(entry)}`;
    }
  }
}

/** Such as `half-open → closed`. */
export function describeChange({ from, to }: { from: CircuitState; to: CircuitState }): string {
  return `${from} → ${to}`.replaceAll("_", "-");
}

/** Such as `1.95 s`. */
export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

function describeReason({ reason, cooldownMs }: Extract<DrillEntry, { kind: "transition" }>): string {
  const what = reason.replaceAll("_", " ");
  return cooldownMs === null ? what : `${what}: no calls for ${seconds(cooldownMs)}`;
}
