/** Exit codes, in the terms of sysexits; 130 and 143 are a shell's for SIGINT and SIGTERM. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  unavailable: 69,
  throttled: 75,
  credentials: 77,
  configuration: 78,
  interrupted: 130,
  terminated: 143,
} as const;

/** Exit code of a script. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Base of every error that breakwater throws on purpose; `exitCode` is what a script ends with because of it. */
export abstract class BreakwaterError extends Error {
  abstract readonly exitCode: ExitCode;
}

/** The command line cannot be understood. */
export class UsageError extends BreakwaterError {
  override readonly name = "UsageError";
  readonly exitCode = EXIT.usage;
}

/** One thing that is wrong with the configuration. */
export interface ConfigProblem {
  /** Name of the variable, or of the file and line. */
  readonly variable: string;
  /** What was expected and how to mend it; never a value. */
  readonly message: string;
}

/** The configuration cannot be used; `problems` has all that is wrong with it, at once. */
export class ConfigError extends BreakwaterError {
  override readonly name = "ConfigError";
  readonly exitCode = EXIT.configuration;
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super(
      `Cannot use the configuration, ${count}:\n${problems.map((one) => `  ${one.variable}: ${one.message}`).join("\n")}`,
    );
    this.problems = problems;
  }
}

/** The job itself could not be done: a difference was found, or orders would not go. */
export class JobError extends BreakwaterError {
  override readonly name = "JobError";
  readonly exitCode: ExitCode;

  /** @param exitCode what the script ends with; 1. */
  constructor(message: string, exitCode: ExitCode = EXIT.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The run was ended by a signal. */
export class InterruptedError extends BreakwaterError {
  override readonly name = "InterruptedError";
  readonly exitCode: ExitCode;

  constructor(signal: "SIGINT" | "SIGTERM") {
    super(`Interrupted by ${signal}`);
    this.exitCode = signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated;
  }
}

/** States that reject calls. */
export type RejectingState = "open" | "half_open" | "isolated";

/** A call was rejected by a circuit breaker, and no request was made. */
export class CircuitBreakerOpenError extends BreakwaterError {
  override readonly name = "CircuitBreakerOpenError";
  readonly exitCode = EXIT.unavailable;
  /** Name of the breaker. */
  readonly breaker: string;
  /** `half_open` when another caller has the probe. */
  readonly state: RejectingState;
  /** Time until a call may be admitted, in ms; null when an operator holds the circuit. */
  readonly retryAfterMs: number | null;
  /** When the circuit opened, or when the operator took hold of it. */
  readonly openedAt: Date;

  constructor(details: {
    breaker: string;
    state: RejectingState;
    retryAfterMs: number | null;
    openedAtMs: number;
    /** What the caller was about to do. */
    call?: string | undefined;
    /** The operator's reason, when isolated. */
    reason?: string | undefined;
    cause?: unknown;
  }) {
    const { breaker, state, retryAfterMs, call, reason } = details;
    const act = call ? `Cannot call ${call}: circuit` : "Cannot call: circuit";
    const why =
      state === "isolated"
        ? `is isolated by an operator: ${reason?.replace(/\p{Cc}+/gu, " ") ?? "no reason given"}; it stays so until it is released`
        : state === "open"
          ? `is open for another ${retryAfterMs} ms`
          : `is half-open and another caller has the probe, for at most ${retryAfterMs} ms`;
    // The stack is most of what a rejection costs, and says nothing that the message does not.
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(`${act} "${breaker}" ${why}`, details.cause === undefined ? undefined : { cause: details.cause });
    Error.stackTraceLimit = limit;
    this.breaker = breaker;
    this.state = state;
    this.retryAfterMs = retryAfterMs;
    this.openedAt = new Date(details.openedAtMs);
  }
}

/** Alpaca is switched off, or its credentials are missing, and a call was made all the same. */
export class AlpacaDisabledError extends BreakwaterError {
  override readonly name = "AlpacaDisabledError";
  readonly exitCode = EXIT.configuration;
}

/** The request budget has no place for a call within its deadline; no request was made. */
export class AlpacaThrottledError extends BreakwaterError {
  override readonly name = "AlpacaThrottledError";
  readonly exitCode = EXIT.throttled;
  /** Time until the budget has a place again, in ms. */
  readonly retryAfterMs: number;

  constructor(call: string, retryAfterMs: number, why: string) {
    super(`Cannot call ${call}: ${why}, next place in ${Math.ceil(retryAfterMs)} ms, waiting at most 60000 ms`);
    this.retryAfterMs = retryAfterMs;
  }
}

/** No whole response arrived from Alpaca. A TypeError, as a native fetch would throw; `cause` has the native error. */
export class AlpacaNetworkError extends TypeError {
  override readonly name = "AlpacaNetworkError";
  readonly exitCode = EXIT.unavailable;
}

/** Alpaca did not answer in time. */
export class AlpacaTimeoutError extends BreakwaterError {
  override readonly name = "TimeoutError";
  readonly exitCode = EXIT.unavailable;
  readonly timeoutMs: number;

  constructor(call: string, timeoutMs: number) {
    super(`Cannot call ${call}: no whole answer within ${timeoutMs} ms (ALPACA_TIMEOUT_MS)`);
    this.timeoutMs = timeoutMs;
  }
}

/** Why a call to Alpaca has no usable result. */
export type AlpacaErrorKind = "credentials" | "throttled" | "unavailable" | "redirect" | "rejected" | "schema";

const EXIT_OF_KIND: Record<AlpacaErrorKind, ExitCode> = {
  credentials: EXIT.credentials,
  throttled: EXIT.throttled,
  unavailable: EXIT.unavailable,
  redirect: EXIT.failed,
  rejected: EXIT.failed,
  schema: EXIT.failed,
};

/** Alpaca answered, but not with a 2xx that can be used. */
export class AlpacaError extends BreakwaterError {
  override readonly name = "AlpacaError";
  readonly exitCode: ExitCode;
  readonly kind: AlpacaErrorKind;
  readonly method: string;
  /** Path with its ids replaced by placeholders, such as `/v2/orders/{order_id}`. */
  readonly urlTemplate: string;
  readonly status: number;
  /** Alpaca's own code, such as 40310000; null when it gave none. */
  readonly code: number | null;
  /** `X-Request-ID`: Alpaca's support asks for it, and it cannot be looked up later. */
  readonly requestId: string | null;

  constructor(details: {
    kind: AlpacaErrorKind;
    method: string;
    urlTemplate: string;
    status: number;
    code?: number | null;
    requestId?: string | null;
    message: string;
    cause?: unknown;
  }) {
    const { method, urlTemplate, status, code = null, requestId = null } = details;
    const id = requestId === null ? "" : ` (request id ${requestId})`;
    super(
      `Cannot ${method} ${urlTemplate}: ${details.message}${id}`,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.kind = details.kind;
    this.exitCode = EXIT_OF_KIND[details.kind];
    this.method = method;
    this.urlTemplate = urlTemplate;
    this.status = status;
    this.code = code;
    this.requestId = requestId;
  }
}

const PRECEDENCE: readonly ExitCode[] = [
  EXIT.terminated,
  EXIT.interrupted,
  EXIT.configuration,
  EXIT.usage,
  EXIT.credentials,
  EXIT.throttled,
  EXIT.unavailable,
];

/** Exit code that an error means; of several in an AggregateError 77 goes before 75 before 69 before 1. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof AggregateError) {
    const codes = error.errors.map(exitCodeOf);
    return PRECEDENCE.find((code) => codes.includes(code)) ?? EXIT.failed;
  }
  if (error instanceof BreakwaterError || error instanceof AlpacaNetworkError) return error.exitCode;
  return EXIT.failed;
}
