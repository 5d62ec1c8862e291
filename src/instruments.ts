/** Scope name of the tracer, the meter and the logger. */
export const SCOPE_NAME = "breakwater";

/** Version of the toolkit: the scope version of tracer and logger, never part of a metric's identity. */
export const TOOLKIT_VERSION = "0.1.0";

type InstrumentKind = "gauge" | "counter" | "histogram";

/** What is known of a metric before it is recorded. */
export interface Instrument {
  readonly kind: InstrumentKind;
  /** UCUM; an empty unit keeps Prometheus from adding `_ratio` to a gauge. */
  readonly unit: string;
  readonly description: string;
  readonly attributes: readonly string[];
  /** Facts of one machine carry `host.name`; a breaker's facts do so only while its store is this machine's. */
  readonly scope: "machine" | "breaker";
  readonly boundaries?: readonly number[];
}

/** Attribute keys: one name for one thing in every signal. */
export const ATTRIBUTE = {
  alpacaEnvironment: "alpaca.environment",
  breakerFrom: "circuit_breaker.from",
  breakerEventId: "circuit_breaker.event_id",
  breakerGeneration: "circuit_breaker.generation",
  breakerName: "circuit_breaker.name",
  breakerOutcome: "circuit_breaker.outcome",
  breakerReason: "circuit_breaker.reason",
  breakerState: "circuit_breaker.state",
  breakerTo: "circuit_breaker.to",
  errorType: "error.type",
  hostName: "host.name",
  requestId: "alpaca.request_id",
  requestMethod: "http.request.method",
  resendCount: "http.request.resend_count",
  responseStatusCode: "http.response.status_code",
  scriptExitCode: "script.exit_code",
  scriptName: "script.name",
  scriptOutcome: "script.outcome",
  serverAddress: "server.address",
  serverPort: "server.port",
  urlFull: "url.full",
  urlTemplate: "url.template",
  warningVariable: "config.variable",
} as const;

/** Seconds; the advice of the HTTP semantic conventions, since the SDK's default boundaries are for milliseconds. */
const REQUEST_BOUNDARIES_S = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const;
const OPEN_BOUNDARIES_S = [1, 5, 15, 30, 60, 120, 300, 900, 1800, 3600, 10800, 43200] as const;
const SCRIPT_BOUNDARIES_S = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600] as const;

const { breakerName, serverAddress, scriptName } = ATTRIBUTE;
const BREAKER = [breakerName, serverAddress] as const;

/** Every metric that breakwater records, by its OpenTelemetry name. */
export const INSTRUMENTS = {
  "alpaca.enabled": {
    kind: "gauge",
    unit: "",
    description: "Whether Alpaca is switched on for this script: 1 yes, 0 no",
    attributes: [scriptName, ATTRIBUTE.alpacaEnvironment],
    scope: "machine",
  },
  "alpaca.budget.remaining": {
    kind: "gauge",
    unit: "{request}",
    description: "Requests that may still start within the current 60 s",
    attributes: BREAKER,
    scope: "machine",
  },
  "circuit_breaker.state": {
    kind: "gauge",
    unit: "",
    description: "State of the circuit breaker, one series per state: 1 for the current one, 0 for the others",
    attributes: [...BREAKER, ATTRIBUTE.breakerState],
    scope: "breaker",
  },
  "circuit_breaker.last_opened": {
    kind: "gauge",
    unit: "s",
    description: "Unix time at which the circuit breaker last opened; no point when it never did",
    attributes: BREAKER,
    scope: "breaker",
  },
  "circuit_breaker.transitions": {
    kind: "counter",
    unit: "{transition}",
    description: "State changes of the circuit breaker",
    attributes: [...BREAKER, ATTRIBUTE.breakerFrom, ATTRIBUTE.breakerTo, ATTRIBUTE.breakerReason],
    scope: "breaker",
  },
  "circuit_breaker.calls": {
    kind: "counter",
    unit: "{call}",
    description: "Calls that the circuit breaker decided on, by outcome: success, failure, rejected or ignored",
    attributes: [...BREAKER, ATTRIBUTE.breakerOutcome],
    scope: "breaker",
  },
  "circuit_breaker.open.duration": {
    kind: "histogram",
    unit: "s",
    description: "Time from opening the circuit until it closed again",
    attributes: BREAKER,
    scope: "breaker",
    boundaries: OPEN_BOUNDARIES_S,
  },
  "circuit_breaker.store.errors": {
    kind: "counter",
    unit: "{error}",
    description: "Reads and writes of stored breaker state that failed, corrupt rows included",
    attributes: [],
    scope: "machine",
  },
  "http.client.request.duration": {
    kind: "histogram",
    unit: "s",
    description: "Duration of HTTP client requests",
    attributes: [
      ATTRIBUTE.requestMethod,
      ATTRIBUTE.serverAddress,
      ATTRIBUTE.serverPort,
      ATTRIBUTE.responseStatusCode,
      ATTRIBUTE.errorType,
      ATTRIBUTE.urlTemplate,
    ],
    scope: "machine",
    boundaries: REQUEST_BOUNDARIES_S,
  },
  "config.warnings": {
    kind: "gauge",
    unit: "{warning}",
    description: "Configuration warnings at the start of the script",
    attributes: [scriptName],
    scope: "machine",
  },
  "script.last_success": {
    kind: "gauge",
    unit: "s",
    description: "Unix time at which the script last ended with exit code 0",
    attributes: [scriptName],
    scope: "machine",
  },
  "script.runs": {
    kind: "counter",
    unit: "{run}",
    description: "Runs of the script, by outcome: success, failure, skipped or interrupted",
    attributes: [scriptName, ATTRIBUTE.scriptOutcome],
    scope: "machine",
  },
  "script.duration": {
    kind: "histogram",
    unit: "s",
    description: "Time from the start of the script to its end, without the delivery of telemetry",
    attributes: [scriptName, ATTRIBUTE.scriptOutcome],
    scope: "machine",
    boundaries: SCRIPT_BOUNDARIES_S,
  },
  "script.exit_code": {
    kind: "gauge",
    unit: "",
    description: "Exit code of the script's last run",
    attributes: [scriptName],
    scope: "machine",
  },
  "telemetry.outbox.size": {
    kind: "gauge",
    unit: "{event}",
    description: "State changes that no collector has acknowledged yet",
    attributes: [],
    scope: "machine",
  },
  "telemetry.outbox.replayed": {
    kind: "counter",
    unit: "{event}",
    description: "State changes of earlier runs that were delivered by a later one",
    attributes: [],
    scope: "machine",
  },
  "telemetry.outbox.dropped": {
    kind: "counter",
    unit: "{event}",
    description: "State changes that were given up because the outbox was full or they were too old",
    attributes: [],
    scope: "machine",
  },
} as const satisfies Record<string, Instrument>;

/** Name of a metric that breakwater records. */
export type InstrumentName = keyof typeof INSTRUMENTS;

/** Name of a span for every state change. */
export const TRANSITION_SPAN = "circuit_breaker transition";

/** `eventName` of the log record for a change to the given state; `.released` is the end of an operator's hold. */
export const BREAKER_EVENT = {
  open: "circuit_breaker.opened",
  half_open: "circuit_breaker.half_opened",
  closed: "circuit_breaker.closed",
  isolated: "circuit_breaker.isolated",
  released: "circuit_breaker.released",
} as const;

/** `eventName` of the log record for a configuration warning. */
export const CONFIG_WARNING_EVENT = "config.warning";
