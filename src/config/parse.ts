import * as v from "valibot";
import { ConfigError, type ConfigProblem } from "../errors.ts";
import { parseAlpaca } from "./alpaca.ts";
import type { Config, ConfigWarning, SignalConfig, SignalName, StoreConfig, TelemetryConfig } from "./config.ts";
import { Secret } from "./secret.ts";
import { ALIASES, VARIABLE_NAMES, VARIABLES, type VariableName, type Variables } from "./variables.ts";

/** What the environment is read from; a blank value counts as unset. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the configuration from environment variables.
 *
 * @throws {ConfigError} that lists every problem by variable name, and never a value.
 */
export function parseConfig(env: Environment): { config: Config; warnings: ConfigWarning[] } {
  const warnings: ConfigWarning[] = [];
  const problems: ConfigProblem[] = [];
  const parsed = v.safeParse(VARIABLES, readVariables(env, warnings));
  for (const issue of parsed.issues ?? []) {
    const variable = String(issue.path?.[0]?.key ?? "environment");
    if (!problems.some((known) => known.variable === variable)) problems.push({ variable, message: issue.message });
  }
  // Checks across variables see the parsed values where these are good, so that one bad variable hides nothing else.
  const variables = (parsed.success ? parsed.output : repair(parsed.output, problems)) as Variables;
  const alpaca = parseAlpaca(variables, warnings, problems);
  const telemetry = parseTelemetry(variables, warnings);
  if (problems.length > 0) throw new ConfigError(problems);
  const isSwitchedOff = !alpaca.enabled && alpaca.because === "switched_off";
  return {
    config: { alpaca, telemetry, store: parseStore(variables), logLevel: variables.LOG_LEVEL },
    warnings: isSwitchedOff ? warnings.filter(({ area }) => area !== "alpaca") : warnings,
  };
}

function readVariables(env: Environment, warnings: ConfigWarning[]): Partial<Record<VariableName, string>> {
  const read = (name: string) => env[name]?.trim() || undefined;
  const values: Partial<Record<VariableName, string>> = {};
  for (const name of VARIABLE_NAMES) {
    const names = [name, ...(ALIASES[name] ?? [])].filter((one) => read(one) !== undefined);
    const [first, ...others] = names;
    if (first === undefined) continue;
    const value = read(first);
    if (value !== undefined) values[name] = value;
    const conflicting = others.filter((one) => read(one) !== value);
    if (conflicting.length > 0) {
      const message = `is used, and ${conflicting.join(" and ")} has another value; remove one of them`;
      warnings.push({ area: "alpaca", variable: first, message });
    }
  }
  return values;
}

function repair(output: unknown, problems: readonly ConfigProblem[]): unknown {
  const bad = new Set(problems.map((problem) => problem.variable));
  const good = Object.entries(output as object).filter(([name]) => !bad.has(name));
  return { ...v.parse(VARIABLES, {}), ...Object.fromEntries(good) };
}

function parseStore({ DATABASE_URL, DATABASE_POOL_SIZE, STATE_DIR }: Variables): StoreConfig {
  if (DATABASE_URL === undefined) return { kind: "sqlite", path: `${STATE_DIR}/breakwater.sqlite` };
  if (!DATABASE_URL.startsWith("sqlite:")) {
    return { kind: "postgres", url: new Secret(DATABASE_URL), poolSize: DATABASE_POOL_SIZE };
  }
  // Both sqlite:state.db and sqlite:///var/lib/state.db are in use.
  return { kind: "sqlite", path: DATABASE_URL.slice("sqlite:".length).replace(/^\/\/(?=\/|[^/])/, "") };
}

function parseTelemetry(variables: Variables, warnings: ConfigWarning[]): TelemetryConfig {
  const base = variables.OTEL_EXPORTER_OTLP_ENDPOINT ?? null;
  const signal = (name: SignalName): SignalConfig => {
    const upper = name.toUpperCase() as Uppercase<SignalName>;
    const protocol = variables[`OTEL_EXPORTER_OTLP_${upper}_PROTOCOL`] ?? variables.OTEL_EXPORTER_OTLP_PROTOCOL;
    const common = base !== null && protocol !== "grpc" ? `${base.replace(/\/+$/, "")}/v1/${name}` : base;
    return {
      enabled: variables[`OTEL_${upper}_EXPORTER`],
      protocol,
      endpoint: variables[`OTEL_EXPORTER_OTLP_${upper}_ENDPOINT`] ?? common,
    };
  };
  const resourceAttributes = parseResourceAttributes(variables.OTEL_RESOURCE_ATTRIBUTES, warnings);
  return {
    disabled: variables.OTEL_SDK_DISABLED,
    serviceName: variables.OTEL_SERVICE_NAME ?? resourceAttributes["service.name"] ?? "breakwater",
    resourceAttributes,
    signals: { traces: signal("traces"), metrics: signal("metrics"), logs: signal("logs") },
    sampler: { name: variables.OTEL_TRACES_SAMPLER, ratio: variables.OTEL_TRACES_SAMPLER_ARG },
    temporality: variables.OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE,
    exportTimeoutMs: Math.min(variables.OTEL_EXPORTER_OTLP_TIMEOUT ?? 1_000, 1_000),
  };
}

// Format: https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable
function parseResourceAttributes(text: string | undefined, warnings: ConfigWarning[]): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const pair of text?.split(",") ?? []) {
    const [key, value, ...rest] = pair.split("=").map((part) => part.trim());
    try {
      if (!key || value === undefined || rest.length > 0) throw new SyntaxError("no key=value");
      attributes[key] = decodeURIComponent(value);
    } catch {
      const message = "expected key=value pairs with commas between them, percent-encoded; all of it is ignored";
      warnings.push({ area: "telemetry", variable: "OTEL_RESOURCE_ATTRIBUTES", message });
      return {};
    }
  }
  return attributes;
}
