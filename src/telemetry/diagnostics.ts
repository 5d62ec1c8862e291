import { type DiagLogger, DiagLogLevel } from "@opentelemetry/api";
import type { SignalName } from "../config/config.ts";
import type { Delivery } from "./delivery.ts";

const quiet = () => {};

/** Level of a `partialSuccessLogger`. */
export const PARTIAL_SUCCESS_LEVEL = DiagLogLevel.WARN;

/**
 * Prints nothing. It tells `delivery` of items that a collector refused within an export that it acknowledged: the
 * exporters report those as a success, and say the rest in a warning only.
 */
export function partialSuccessLogger(delivery: Delivery): DiagLogger {
  return {
    error: quiet,
    info: quiet,
    debug: quiet,
    verbose: quiet,
    warn: (message, details) => {
      if (!message.startsWith("Received Partial Success") || typeof details !== "string") return;
      for (const [signal, items] of rejectedItems(details)) if (items > 0) delivery.rejected(signal, items);
    },
  };
}

const REJECTED: Readonly<Record<string, SignalName>> = {
  rejectedSpans: "traces",
  rejectedDataPoints: "metrics",
  rejectedLogRecords: "logs",
};

function rejectedItems(json: string): [SignalName, number][] {
  try {
    const details = JSON.parse(json) as Record<string, unknown>;
    return Object.entries(REJECTED).map(([key, signal]) => [signal, Number(details[key] ?? 0)]);
  } catch {
    return [];
  }
}
