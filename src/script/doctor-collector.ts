import { connect } from "node:net";
import type { SignalName, TelemetryConfig } from "../config/config.ts";
import { placeOf } from "../config/describe.ts";
import type { Check } from "./checks.ts";

const COLLECTOR_TIMEOUT_MS = 2_000;

/** Looks whether a collector listens where each signal goes. The default place may be empty: nobody asked for it. */
export async function checkCollector(telemetry: TelemetryConfig, signal: AbortSignal): Promise<Check[]> {
  const name = "collector";
  if (telemetry.disabled) return [{ name, status: "skipped", detail: "OTEL_SDK_DISABLED is true" }];
  const places = placesOf(telemetry);
  if (places.size === 0) return [{ name, status: "skipped", detail: "every signal is switched off" }];
  return Promise.all(
    [...places].map(async ([origin, { isNamed, signals }]): Promise<Check> => {
      const place = placeOf(origin);
      try {
        await reach(origin, signal);
        return { name, status: "ok", detail: `${place} listens, for ${signals.join(", ")}` };
      } catch (error) {
        signal.throwIfAborted();
        if (!isNamed) return { name, status: "ok", detail: `not running at ${place}, and none is named` };
        const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
        const detail = `nothing listens at ${place} for ${signals.join(", ")} (${why})`;
        // What Deno says of a host that the command line does not name.
        const remedy =
          why === "EPERM" ? "add the host to --allow-net" : "start it, or change OTEL_EXPORTER_OTLP_ENDPOINT";
        return { name, status: "warning", detail, remedy };
      }
    }),
  );
}

function placesOf({ signals }: TelemetryConfig): Map<string, { isNamed: boolean; signals: SignalName[] }> {
  const places = new Map<string, { isNamed: boolean; signals: SignalName[] }>();
  for (const [name, { enabled, endpoint, protocol }] of Object.entries(signals)) {
    if (!enabled) continue;
    const { origin } = new URL(endpoint ?? `http://localhost:${protocol === "grpc" ? 4317 : 4318}`);
    const place = places.get(origin) ?? { isNamed: false, signals: [] };
    place.isNamed ||= endpoint !== null;
    place.signals.push(name as SignalName);
    places.set(origin, place);
  }
  return places;
}

// A connection is enough: a request would need the exporter's own headers and certificates to be judged rightly.
function reach(origin: string, signal: AbortSignal): Promise<void> {
  const { hostname, port, protocol } = new URL(origin);
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ""),
      port: Number(port || (protocol === "https:" ? 443 : 80)),
    });
    const end = (error?: Error) => {
      clearTimeout(timer);
      socket.destroy();
      signal.removeEventListener("abort", stop);
      if (error) reject(error);
      else resolve();
    };
    const stop = () => end(signal.reason);
    // A socket's own timeout would begin anew with each address of the host.
    const timer = setTimeout(() => end(new Error(`no answer within ${COLLECTOR_TIMEOUT_MS} ms`)), COLLECTOR_TIMEOUT_MS);
    signal.addEventListener("abort", stop, { once: true });
    socket.once("connect", () => end());
    socket.on("error", end);
  });
}
