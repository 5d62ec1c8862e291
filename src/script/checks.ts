import { connect } from "node:net";
import type { AlpacaClient } from "../alpaca/client.ts";
import type { Config, SignalName, TelemetryConfig } from "../config/config.ts";
import { placeOf } from "../config/describe.ts";

/** What one look at a part of the set-up has shown. */
export interface Check {
  readonly name: string;
  readonly status: "ok" | "warning" | "failed" | "skipped";
  readonly detail: string;
  /** What a failed one failed with. */
  readonly error?: Error;
}

type Alpaca = AlpacaClient & { readonly fetch: typeof fetch };

/** Skew of the local clock that is worth a warning; tokens and market hours do not mind less. */
const MOST_SKEW_MS = 5_000;
const COLLECTOR_TIMEOUT_MS = 2_000;

/** Looks at Alpaca's hosts, one after the other: of several calls at once a half-open circuit would reject all but one. */
export async function checkAlpaca(alpaca: Alpaca, config: Config, signal: AbortSignal): Promise<Check[]> {
  return [
    await check("trading host and credentials", async () => {
      const account = await alpaca.getAccount();
      const blocked = account.trading_blocked === true || account.account_blocked === true;
      const detail = `account ${account.account_number ?? account.id} is ${account.status}`;
      return blocked ? { status: "warning", detail: `${detail}, and blocked by Alpaca` } : { status: "ok", detail };
    }),
    await check("clock", () => checkClock(alpaca)),
    await check("market data host", () => checkData(alpaca, config, signal)),
  ];
}

async function checkClock(alpaca: Alpaca): Promise<Omit<Check, "name">> {
  const startMs = Date.now();
  const { timestamp, is_open } = await alpaca.getClock();
  const skewMs = (startMs + Date.now()) / 2 - Date.parse(timestamp);
  const market = `market is ${is_open ? "open" : "closed"}`;
  if (Number.isNaN(skewMs)) return { status: "warning", detail: `${market}, and Alpaca's time cannot be read` };
  const size = `${(Math.abs(skewMs) / 1_000).toFixed(1)} s`;
  if (Math.abs(skewMs) <= MOST_SKEW_MS)
    return { status: "ok", detail: `${market}, this machine is within ${size} of Alpaca` };
  const direction = skewMs > 0 ? "ahead of" : "behind";
  return { status: "warning", detail: `this machine's clock is ${size} ${direction} Alpaca's; set it by NTP` };
}

async function checkData(alpaca: Alpaca, config: Config, signal: AbortSignal): Promise<Omit<Check, "name">> {
  const url = new URL(`${config.alpaca.dataUrl}/v2/stocks/AAPL/bars?timeframe=1Day&limit=1&feed=iex`);
  const response = await alpaca.fetch(url, { signal });
  const { readAnswer } = await import("../alpaca/request.ts");
  const secrets = config.alpaca.enabled ? Object.values(config.alpaca.credentials).map((one) => one.reveal()) : [];
  await readAnswer(response, { method: "GET", url, schema: "Bars", isList: false, isData: true, secrets });
  return { status: "ok", detail: `${config.alpaca.dataUrl} answers` };
}

/** Looks whether a collector listens where each signal goes. The default place may be empty: nobody asked for it. */
export async function checkCollector(telemetry: TelemetryConfig, signal: AbortSignal): Promise<Check[]> {
  if (telemetry.disabled) return [{ name: "collector", status: "skipped", detail: "OTEL_SDK_DISABLED is true" }];
  const places = new Map<string, { isNamed: boolean; isGrpc: boolean; signals: SignalName[] }>();
  for (const [name, { enabled, endpoint, protocol }] of Object.entries(telemetry.signals)) {
    if (!enabled) continue;
    const isGrpc = protocol === "grpc";
    const { origin } = new URL(endpoint ?? (isGrpc ? "http://localhost:4317" : "http://localhost:4318"));
    const place = places.get(origin) ?? { isNamed: endpoint !== null, isGrpc, signals: [] };
    place.signals.push(name as SignalName);
    places.set(origin, place);
  }
  return Promise.all(
    [...places].map(async ([origin, { isNamed, signals }]): Promise<Check> => {
      const name = "collector";
      try {
        await reach(origin, signal);
        return { name, status: "ok", detail: `${placeOf(origin)} listens, for ${signals.join(", ")}` };
      } catch (error) {
        const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
        if (!isNamed) return { name, status: "ok", detail: `none is named, and none runs at ${placeOf(origin)}` };
        const detail = `nothing listens at ${placeOf(origin)} (${why}); start it or change OTEL_EXPORTER_OTLP_ENDPOINT`;
        return { name, status: "warning", detail };
      }
    }),
  );
}

function reach(origin: string, signal: AbortSignal): Promise<void> {
  const { hostname, port, protocol } = new URL(origin);
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ""),
      port: Number(port || (protocol === "https:" ? 443 : 80)),
    });
    const end = (error?: Error) => {
      socket.destroy();
      signal.removeEventListener("abort", stop);
      if (error) reject(error);
      else resolve();
    };
    const stop = () => end(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    socket.setTimeout(COLLECTOR_TIMEOUT_MS, () => end(new Error(`no answer within ${COLLECTOR_TIMEOUT_MS} ms`)));
    socket.once("connect", () => end());
    socket.once("error", end);
  });
}

async function check(name: string, look: () => Promise<Omit<Check, "name">>): Promise<Check> {
  try {
    return { name, ...(await look()) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { name, status: "failed", detail: error.message, error };
  }
}
