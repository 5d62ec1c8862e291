import type { Config, SignalConfig, StoreConfig } from "./config.ts";

/** The configuration as it was understood, name by name. What is secret is only said to be there. */
export function describeConfig({ alpaca, telemetry, store, logLevel }: Config): Record<string, string> {
  const access = alpaca.enabled
    ? "enabled"
    : alpaca.because === "switched_off"
      ? "switched off by ALPACA_ENABLED=false"
      : "disabled, credentials are missing";
  const { breaker } = alpaca;
  const opens =
    breaker.failureRatio === null
      ? `after ${breaker.failureThreshold} outages in a row`
      : `at ${Number((breaker.failureRatio * 100).toFixed(4))}% failures within ${seconds(breaker.windowMs)}, from ${breaker.minimumCalls} calls on`;
  return {
    alpaca: access,
    credentials: alpaca.enabled ? "set (hidden)" : "not used",
    environment: `${alpaca.environment}${alpaca.allowLive ? ", changes to a live account are allowed with --execute" : ""}`,
    tradingUrl: alpaca.baseUrl,
    dataUrl: alpaca.dataUrl,
    requests: `${alpaca.requestsPerMinute} a minute, ${alpaca.timeoutMs} ms each, ${alpaca.maxRetries} retries`,
    breaker: `opens ${opens}, tests after ${seconds(breaker.recoveryTimeoutMs)} up to ${seconds(breaker.maxRecoveryTimeoutMs)}`,
    telemetry: telemetry.disabled
      ? "switched off by OTEL_SDK_DISABLED"
      : describeSignals(Object.entries(telemetry.signals)),
    state: describeStore(store),
    logLevel,
  };
}

function describeSignals(signals: [string, SignalConfig][]): string {
  const places = signals.map(([name, { enabled, endpoint, protocol }]) => {
    if (!enabled) return { name, place: "off" };
    if (endpoint === null) return { name, place: `${protocol} to this machine, if a collector listens` };
    return { name, place: `${protocol} to ${new URL(endpoint).origin}` };
  });
  const distinct = [...new Set(places.map(({ place }) => place))];
  if (distinct.length === 1) return distinct[0] ?? "off";
  return places.map(({ name, place }) => `${name}: ${place}`).join("; ");
}

/** A URL without user, password and query: all three are places where secrets are kept. */
export function placeOf(endpoint: string): string {
  const { origin, pathname } = new URL(endpoint);
  return `${origin}${pathname === "/" ? "" : pathname}`;
}

function seconds(durationMs: number): string {
  return `${durationMs / 1_000} s`;
}

function describeStore(store: StoreConfig): string {
  if (store.kind === "sqlite") return `SQLite, ${store.path}`;
  const { hostname, pathname } = new URL(store.url.reveal());
  return `PostgreSQL, database ${pathname.slice(1)} at ${hostname}`;
}
