import type { Secret } from "./secret.ts";
import type { Variables } from "./variables.ts";

/** A key and its secret, as Alpaca's headers want them. */
export interface AlpacaCredentials {
  readonly key: Secret;
  readonly secret: Secret;
}

/** Which account a base URL belongs to; `custom` is any other host, a simulator or a proxy. */
export type AlpacaEnvironment = "paper" | "live" | "custom";

/** Whether Alpaca may be called, and with what. */
export type AlpacaAccess =
  | { readonly enabled: true; readonly credentials: AlpacaCredentials }
  | { readonly enabled: false; readonly because: "switched_off" | "credentials_missing" };

/** When a circuit breaker opens and how it recovers. */
export interface BreakerPolicy {
  /** Consecutive outages that open the circuit; 5. */
  readonly failureThreshold: number;
  /** A failure older than this no longer counts as consecutive; 7 200 000 ms, longer than an hourly cron interval. */
  readonly failureWindowMs: number;
  /** Given, the circuit opens on this share of failures within `windowMs` instead of on consecutive ones. */
  readonly failureRatio: number | null;
  /** 60 000 ms. */
  readonly windowMs: number;
  /** Calls within the window before the ratio counts; 20. */
  readonly minimumCalls: number;
  /** First cooldown; 60 000 ms. Each failed probe doubles it. */
  readonly recoveryTimeoutMs: number;
  /** Longest cooldown; 900 000 ms. */
  readonly maxRecoveryTimeoutMs: number;
  /** Consecutive successful probes that close the circuit, one at a time; 1. */
  readonly halfOpenProbes: number;
}

export type AlpacaConfig = AlpacaAccess & {
  readonly environment: AlpacaEnvironment;
  /** Origin and path prefix without a slash at the end, as is `dataUrl`. */
  readonly baseUrl: string;
  readonly dataUrl: string;
  /** Permission to change a live account, the first of two: `--execute` is the second. */
  readonly allowLive: boolean;
  readonly timeoutMs: number;
  readonly maxRetries: number;
  readonly requestsPerMinute: number;
  readonly breaker: BreakerPolicy;
};

export type LogLevel = Variables["LOG_LEVEL"];

export type OtlpProtocol = Variables["OTEL_EXPORTER_OTLP_PROTOCOL"];

/** One of the three signals that are exported. */
export type SignalName = "traces" | "metrics" | "logs";

export interface SignalConfig {
  readonly enabled: boolean;
  readonly protocol: OtlpProtocol;
  /** Whole URL of the signal; null when none is set, and OTLP's default is tried once. */
  readonly endpoint: string | null;
}

/** How telemetry leaves; everything else that OTEL_* can say is read by the OpenTelemetry SDK itself. */
export interface TelemetryConfig {
  readonly disabled: boolean;
  readonly serviceName: string;
  /** Attributes of OTEL_RESOURCE_ATTRIBUTES, decoded. */
  readonly resourceAttributes: Readonly<Record<string, string>>;
  readonly signals: Readonly<Record<SignalName, SignalConfig>>;
  /** Which traces are kept, in the specification's names, and the share of the ratio samplers. */
  readonly sampler: { readonly name: Variables["OTEL_TRACES_SAMPLER"]; readonly ratio: number };
  /** Temporality preference of metrics; `delta`, so that short runs add up. */
  readonly temporality: Variables["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"];
  /** Bound of one export; 1 000 ms, since it may delay a script's exit. */
  readonly exportTimeoutMs: number;
}

/** Where breaker state is kept: one machine's file, or a fleet's database. A relative path is the toolkit's own. */
export type StoreConfig =
  | { readonly kind: "sqlite"; readonly path: string }
  | { readonly kind: "postgres"; readonly url: Secret; readonly poolSize: number };

/** The whole configuration, validated once. It prints and serialises without secrets. */
export interface Config {
  readonly alpaca: AlpacaConfig;
  readonly telemetry: TelemetryConfig;
  readonly store: StoreConfig;
  readonly logLevel: LogLevel;
}

/** Something in the configuration that works, but not as its author will have meant it. */
export interface ConfigWarning {
  /** Part of the toolkit that it concerns: a script hears only of what it would use. */
  readonly area: "alpaca" | "telemetry";
  readonly variable: string;
  readonly message: string;
}
