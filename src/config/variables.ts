import * as v from "valibot";

const LOOPBACK = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Whether a URL's host name is this machine's own. */
export function isLoopback(hostname: string): boolean {
  return LOOPBACK.test(hostname);
}

// Every message is given explicitly: valibot's own ones quote the input, which may be a secret in the wrong place.
function wholeNumber(least: number, most: number, unit: string, example: number) {
  const message = `expected a whole number of ${unit} from ${least} to ${most}, such as ${example}`;
  return v.pipe(
    v.string(message),
    v.regex(/^\d{1,12}$/, message),
    v.transform(Number),
    v.minValue(least, message),
    v.maxValue(most, message),
  );
}

function oneOf<const T extends readonly string[]>(names: T) {
  return v.pipe(
    v.string(),
    v.transform((text) => text.toLowerCase()),
    v.picklist(names, `expected one of ${names.join(", ")}`),
  );
}

// A tenth of a second is of use in drills and tests.
function seconds(least: number, most: number, example: number) {
  const message = `expected seconds from ${least} to ${most}, such as ${example}`;
  return v.pipe(
    v.string(message),
    v.regex(/^\d{1,7}(?:\.\d{1,3})?$/, message),
    v.transform((text) => Math.round(Number(text) * 1_000)),
    v.minValue(least * 1_000, message),
    v.maxValue(most * 1_000, message),
  );
}

const truth = v.pipe(
  oneOf(["true", "false", "1", "0", "yes", "no"]),
  v.transform((word) => word === "true" || word === "1" || word === "yes"),
);

const RATIO = "expected a ratio above 0 and below 1, such as 0.5";
const ratio = v.pipe(
  v.string(),
  v.regex(/^0?\.\d{1,6}$/, RATIO),
  v.transform(Number),
  v.gtValue(0, RATIO),
  v.ltValue(1, RATIO),
);

const SHARE = "expected a share from 0 to 1, such as 0.25";
const share = v.pipe(v.string(), v.regex(/^(?:0|1|1\.0+|0?\.\d{1,9})$/, SHARE), v.transform(Number));

const API_URL = "expected an https URL such as https://paper-api.alpaca.markets (plain http is for loopback only)";
const apiUrl = v.pipe(
  v.string(),
  v.check((text) => text.includes("://"), `${API_URL}; a scheme is needed`),
  v.check((text) => URL.canParse(text), `${API_URL}; its host or port is not valid`),
  v.transform((text) => new URL(text)),
  v.check(
    (url) => url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname)),
    `${API_URL}; credentials would travel unencrypted`,
  ),
  v.check(
    (url) => url.username === "" && url.password === "",
    `${API_URL}; user and password do not belong in it: use ALPACA_API_KEY and ALPACA_API_SECRET`,
  ),
  v.check((url) => url.search === "" && url.hash === "", `${API_URL}; without query and fragment`),
);

// Only a shell makes a folder of it: here it would be a folder of that name.
const isPathAsWritten = (path: string) => !/^~(?:\/|$)/.test(path);
const folder = v.pipe(
  v.string(),
  v.check(isPathAsWritten, "expected a folder, absolute or relative to the toolkit's own; ~ is not known here"),
);

const DATABASE_URL =
  "expected sqlite: and the path of a file, or postgres://user:password@host/database, or remove the variable";
const databaseUrl = v.pipe(
  v.string(),
  v.check(
    (text) => /^sqlite:.+/.test(text) || (/^postgres(?:ql)?:\/\/./.test(text) && URL.canParse(text)),
    DATABASE_URL,
  ),
  v.check((text) => isPathAsWritten(text.slice("sqlite:".length)), `${DATABASE_URL}; ~ is not known here`),
  v.check(
    (text) => !/^sqlite:(?:\/\/)?:memory:/.test(text),
    `${DATABASE_URL}; a database in memory is shared by nobody`,
  ),
);

const OTLP_URL = "expected the collector's URL with its scheme, such as http://localhost:4318, or remove the variable";
const otlpUrl = v.pipe(
  v.string(),
  v.check((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), OTLP_URL),
  v.check(
    (text) => !URL.parse(text)?.username && !URL.parse(text)?.password,
    `${OTLP_URL}; user and password do not belong in it: use OTEL_EXPORTER_OTLP_HEADERS`,
  ),
);
const otlpProtocol = oneOf(["http/protobuf", "http/json", "grpc"]);
// The specification allows lists and names that other programs know; only `otlp` is sent.
const otelExporter = v.pipe(
  v.string(),
  v.transform((list) => list.split(",").some((name) => name.trim().toLowerCase() === "otlp")),
);

/** Schema of every variable that is read, keyed by its name; input is trimmed, and blank is unset. */
export const VARIABLES = v.object({
  ALPACA_API_KEY: v.optional(v.string()),
  ALPACA_API_SECRET: v.optional(v.string()),
  ALPACA_BASE_URL: v.optional(apiUrl, "https://paper-api.alpaca.markets"),
  ALPACA_DATA_URL: v.optional(apiUrl, "https://data.alpaca.markets"),
  ALPACA_ENABLED: v.optional(oneOf(["auto", "true", "false"]), "auto"),
  ALPACA_ALLOW_LIVE: v.optional(truth, "false"),
  ALPACA_TIMEOUT_MS: v.optional(wholeNumber(1, 600_000, "milliseconds", 10_000), "10000"),
  ALPACA_MAX_RETRIES: v.optional(wholeNumber(0, 10, "retries", 2), "2"),
  ALPACA_REQUESTS_PER_MINUTE: v.optional(wholeNumber(1, 999_999_999_999, "requests", 200), "200"),
  ALPACA_BREAKER_FAILURE_THRESHOLD: v.optional(wholeNumber(1, 1_000, "failures", 5), "5"),
  ALPACA_BREAKER_FAILURE_WINDOW_SECONDS: v.optional(seconds(0.1, 604_800, 7_200), "7200"),
  ALPACA_BREAKER_FAILURE_RATIO: v.optional(ratio),
  ALPACA_BREAKER_WINDOW_SECONDS: v.optional(seconds(0.1, 3_600, 60), "60"),
  ALPACA_BREAKER_MINIMUM_CALLS: v.optional(wholeNumber(1, 100_000, "calls", 20), "20"),
  ALPACA_BREAKER_RECOVERY_SECONDS: v.optional(seconds(0.1, 86_400, 60), "60"),
  ALPACA_BREAKER_MAX_RECOVERY_SECONDS: v.optional(seconds(0.1, 86_400, 900), "900"),
  ALPACA_BREAKER_HALF_OPEN_PROBES: v.optional(wholeNumber(1, 100, "probes", 1), "1"),
  STATE_DIR: v.optional(folder, "./.breakwater/state"),
  DATABASE_URL: v.optional(databaseUrl),
  DATABASE_POOL_SIZE: v.optional(wholeNumber(1, 100, "connections", 4), "4"),
  LOG_LEVEL: v.optional(oneOf(["debug", "info", "warn", "error"]), "info"),
  OTEL_SDK_DISABLED: v.optional(
    v.pipe(
      v.string(),
      v.transform((word) => word.toLowerCase() === "true"),
    ),
    "false",
  ),
  OTEL_SERVICE_NAME: v.optional(v.string()),
  OTEL_RESOURCE_ATTRIBUTES: v.optional(v.string()),
  OTEL_EXPORTER_OTLP_ENDPOINT: v.optional(otlpUrl),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: v.optional(otlpUrl),
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: v.optional(otlpUrl),
  OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: v.optional(otlpUrl),
  OTEL_EXPORTER_OTLP_PROTOCOL: v.optional(otlpProtocol, "http/protobuf"),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: v.optional(otlpProtocol),
  OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: v.optional(otlpProtocol),
  OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: v.optional(otlpProtocol),
  OTEL_EXPORTER_OTLP_HEADERS: v.optional(v.string()),
  OTEL_EXPORTER_OTLP_TIMEOUT: v.optional(wholeNumber(1, 600_000, "milliseconds", 1_000)),
  OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: v.optional(oneOf(["delta", "cumulative", "lowmemory"]), "delta"),
  OTEL_TRACES_SAMPLER: v.optional(
    oneOf([
      "always_on",
      "always_off",
      "traceidratio",
      "parentbased_always_on",
      "parentbased_always_off",
      "parentbased_traceidratio",
    ]),
    "parentbased_always_on",
  ),
  OTEL_TRACES_SAMPLER_ARG: v.optional(share, "1"),
  OTEL_TRACES_EXPORTER: v.optional(otelExporter, "otlp"),
  OTEL_METRICS_EXPORTER: v.optional(otelExporter, "otlp"),
  OTEL_LOGS_EXPORTER: v.optional(otelExporter, "otlp"),
});

/** Name of a variable that is read. */
export type VariableName = keyof (typeof VARIABLES)["entries"];

/** What the variables parse to. */
export type Variables = v.InferOutput<typeof VARIABLES>;

/** Names of all variables that are read, aliases apart. */
export const VARIABLE_NAMES = Object.keys(VARIABLES.entries) as VariableName[];

/** Other names of a variable, in the wild; the variable's own name wins, then these in order. */
export const ALIASES: Partial<Record<VariableName, readonly string[]>> = {
  ALPACA_API_KEY: ["APCA_API_KEY_ID"],
  ALPACA_API_SECRET: ["APCA_API_SECRET_KEY", "ALPACA_SECRET_KEY"],
  ALPACA_BASE_URL: ["APCA_API_BASE_URL"],
  ALPACA_DATA_URL: ["APCA_API_DATA_URL"],
};
