import { CircuitBreakerOpenError, type RejectingState } from "../errors.ts";
import { classifyError } from "./cause.ts";
import { afterwards, type BreakerCell, type Change, type MaybePromise, MemoryCell } from "./cell.ts";
import { Listeners } from "./listeners.ts";
import { isolate, rebase, release, reset, type Step, settle, type Ticket, takeProbe } from "./machine.ts";
import { type CircuitBreakerOptions, withDefaults } from "./options.ts";
import { Permit, type Settlement } from "./permit.ts";
import {
  type BreakerRecord,
  type CallOutcome,
  type CircuitState,
  remainingMs,
  type SpanReference,
  stateAt,
  type Transition,
} from "./state.ts";
import { COCKATIEL_CLOSED, COCKATIEL_HALF_OPEN, WindowBreaker } from "./strategy.ts";

/** What a caller may say of the call that it wants to make. */
export interface CallOptions {
  /** Cancels the call: it then counts neither as success nor as failure. */
  readonly signal?: AbortSignal | undefined;
  /** What is being called, for the error of a rejection, such as `GET /v2/clock`. */
  readonly call?: string | undefined;
  /** Span of the call, which a state change that it causes is linked to. */
  readonly span?: SpanReference | undefined;
}

type Admission = { permit: Permit } | { rejection: CircuitBreakerOpenError };

/**
 * Lets calls through while their dependency is well, rejects them at once while it is not, and tests it with one call
 * at a time when the cooldown is over. cockatiel's strategies decide when to open and how long; admission, the probe
 * and the clock are its own, because a cancelled probe must neither close the circuit nor open it again.
 */
export class CircuitBreaker {
  readonly name: string;
  /** Host that it guards, or null. */
  readonly serverAddress: string | null;
  readonly #policy: ReturnType<typeof withDefaults>;
  readonly #cell: BreakerCell;
  readonly #window: WindowBreaker | null;
  readonly #classifyError: (error: unknown) => "success" | "failure" | "ignored";
  readonly #transitions = new Listeners<Transition>();
  readonly #outcomes = new Listeners<CallOutcome>();
  readonly #newSpan: () => SpanReference | null;
  /** What opened the circuit in this process; another process leaves only its kind. */
  #cause: unknown;

  /** @throws {RangeError | TypeError} for options that no breaker can work with. */
  constructor(options: CircuitBreakerOptions) {
    this.#policy = withDefaults(options);
    this.name = options.name;
    this.serverAddress = options.serverAddress ?? null;
    this.#cell = options.cell ?? new MemoryCell(options.now);
    this.#classifyError = options.classifyError ?? classifyError;
    this.#newSpan = options.newSpan ?? (() => null);
    const { failureRatio, windowMs, minimumCalls } = this.#policy;
    const now = () => this.#cell.now();
    this.#window = failureRatio === null ? null : new WindowBreaker({ failureRatio, windowMs, minimumCalls, now });
  }

  /** State that a call would meet now: an open circuit whose cooldown is over reads `half_open`. */
  get state(): CircuitState {
    return stateAt(this.#cell.peek(), this.#cell.now());
  }

  get isClosed(): boolean {
    return this.state === "closed";
  }

  get isOpen(): boolean {
    return this.state === "open";
  }

  /** Time until a call may be admitted, in ms: 0 when one may be now, null while an operator holds the circuit. */
  get timeUntilRecoveryMs(): number | null {
    return remainingMs(this.#cell.peek(), this.#cell.now());
  }

  /** All that is remembered of the breaker. */
  get record(): BreakerRecord {
    return this.#cell.peek();
  }

  /**
   * Calls `fn` if the circuit admits it, and learns from how it ends.
   *
   * @throws {CircuitBreakerOpenError} when it does not, and whatever `fn` throws.
   */
  async execute<T>(fn: (context: { signal: AbortSignal }) => T | Promise<T>, options: CallOptions = {}): Promise<T> {
    const { signal = NEVER } = options;
    signal.throwIfAborted();
    const permit = await this.enter(options);
    let result: T;
    try {
      // Admission may have taken time, and a cancelled call is not begun.
      signal.throwIfAborted();
      result = await fn({ signal });
    } catch (error) {
      const meaning = signal.aborted ? "ignored" : this.#classifyError(error);
      if (meaning === "failure") await permit.fail(error);
      else if (meaning === "success") await permit.succeed();
      else await permit.ignore();
      throw error;
    }
    await permit.succeed();
    return result;
  }

  /**
   * Asks for the right to make one call, to be held by `await using`.
   *
   * @throws {CircuitBreakerOpenError} when the circuit does not admit it.
   */
  async enter(options: CallOptions = {}): Promise<Permit> {
    options.signal?.throwIfAborted();
    const admission = await this.#admit(options);
    if ("permit" in admission) return admission.permit;
    this.#outcomes.tell("rejected");
    throw admission.rejection;
  }

  /**
   * Looks whether a call would be admitted now, without taking a probe. It is counted when it would not.
   *
   * @throws {CircuitBreakerOpenError}
   */
  check(options: CallOptions = {}): void {
    const nowMs = this.#cell.now();
    const record = this.#cell.peek();
    // A wait that began in the future is left to `enter`, which stores its new beginning: it would never end otherwise.
    if (remainingMs(record, nowMs) === 0 || rebase(record, nowMs) !== record) return;
    this.#outcomes.tell("rejected");
    throw this.#rejection(record, nowMs, options);
  }

  /** Counts a success that was seen outside of `execute` and `enter`; in a half-open circuit it is that of a probe. */
  recordSuccess(): MaybePromise<void> {
    return this.#recordSeen({ kind: "success" });
  }

  /** Counts a failure that was seen outside of `execute` and `enter`; in a half-open circuit it is that of a probe. */
  recordFailure(cause?: unknown): MaybePromise<void> {
    return this.#recordSeen({ kind: "failure", cause });
  }

  /** Closes the circuit and forgets its failures. An operator's hold stays: `release` ends it. */
  async reset(by = "this process"): Promise<void> {
    await this.#operate((record, nowMs) => reset(record, nowMs), "reset", by);
    this.#window?.success(COCKATIEL_HALF_OPEN);
  }

  /** Holds the circuit until `release`: every call is rejected, and the error names the reason. */
  isolate(reason: string, by = "this process"): Promise<void> {
    return this.#operate((record, nowMs) => isolate(record, { reason, by }, nowMs), reason, by);
  }

  /** Ends an operator's hold; the state that the breaker had by itself is in force again. */
  release(by = "this process"): Promise<void> {
    return this.#operate((record) => release(record), "released", by);
  }

  /** Tells `listener` of every state change, once each. What it throws is dropped: it cannot break a call. */
  onTransition(listener: (transition: Transition) => unknown): () => void {
    return this.#transitions.add(listener);
  }

  /** Tells `listener` how every call ended. What it throws is dropped. */
  onOutcome(listener: (outcome: CallOutcome) => unknown): () => void {
    return this.#outcomes.add(listener);
  }

  #admit(options: CallOptions): MaybePromise<Admission> {
    const record = this.#cell.peek();
    if (record.hold === null && record.automatic.state === "closed") {
      return { permit: this.#permit({ generation: record.generation, probeId: null }, options) };
    }
    const nowMs = this.#cell.now();
    if (remainingMs(record, nowMs) !== 0 && rebase(record, nowMs) === record) {
      return { rejection: this.#rejection(record, nowMs, options) };
    }
    return this.#takeProbe(options);
  }

  #takeProbe(options: CallOptions): MaybePromise<Admission> {
    const probeId = crypto.randomUUID();
    const attempt = this.#update<Ticket | { seen: BreakerRecord; nowMs: number }>((found, nowMs) => {
      const record = rebase(found, nowMs);
      if (record.hold === null && record.automatic.state === "closed") {
        return { step: { record }, result: { generation: record.generation, probeId: null } };
      }
      const step = takeProbe(record, nowMs, probeId, this.#policy.probeLeaseMs);
      if (step === null) return { step: { record }, result: { seen: record, nowMs } };
      return { step, result: { generation: step.record.generation, probeId } };
    }, options);
    return afterwards(attempt, (result) =>
      "seen" in result
        ? { rejection: this.#rejection(result.seen, result.nowMs, options) }
        : { permit: this.#permit(result, options) },
    );
  }

  #permit(ticket: Ticket, options: CallOptions): Permit {
    return new Permit((settlement) => this.#settle(ticket, settlement, options), options.signal);
  }

  #settle(ticket: Ticket, settlement: Settlement, options: CallOptions): MaybePromise<void> {
    this.#outcomes.tell(settlement.kind);
    const record = this.#cell.peek();
    const isClosed = record.automatic.state === "closed" && record.hold === null;
    const isCurrent = isClosed && record.generation === ticket.generation;
    if (isCurrent && settlement.kind === "success") this.#window?.success(COCKATIEL_CLOSED);
    const isHealthy = isClosed && record.automatic.state === "closed" && record.automatic.failures === 0;
    if (ticket.probeId === null && (settlement.kind === "ignored" || (settlement.kind === "success" && isHealthy))) {
      return;
    }
    const outcome =
      settlement.kind === "failure"
        ? {
            ...settlement,
            opens: this.#window ? isCurrent && this.#window.failure(COCKATIEL_CLOSED) : ("by_count" as const),
          }
        : settlement;
    const cause = settlement.kind === "failure" ? settlement.cause : undefined;
    return this.#update(
      (found, nowMs) => ({
        step: settle(rebase(found, nowMs), ticket, outcome, nowMs, this.#policy),
        result: undefined,
      }),
      options,
      cause,
    );
  }

  #recordSeen(settlement: Settlement): MaybePromise<void> {
    return afterwards(this.#admit({}), (admission) => {
      if ("rejection" in admission) return;
      return settlement.kind === "failure" ? admission.permit.fail(settlement.cause) : admission.permit.succeed();
    });
  }

  async #operate(act: (record: BreakerRecord, nowMs: number) => Step, reason: string, by: string): Promise<void> {
    const operator = { reason, by };
    await this.#update((record, nowMs) => ({ step: act(record, nowMs), result: undefined }), {}, undefined, operator);
  }

  #update<T>(
    decide: (record: BreakerRecord, nowMs: number) => { step: Step; result: T },
    options: CallOptions,
    cause?: unknown,
    operator: Transition["operator"] = null,
  ): MaybePromise<T> {
    const committed = this.#cell.update<T>((found, nowMs) => {
      const { step, result } = decide(found, nowMs);
      if (!step.changed) return { record: step.record, result };
      const { outageMs, ...changed } = step.changed;
      const transition: Transition = {
        eventId: crypto.randomUUID(),
        breaker: this.name,
        ...changed,
        at: new Date(nowMs),
        generation: step.record.generation,
        cause,
        serverAddress: this.serverAddress,
        operator,
        outageMs,
        call: options.span ?? null,
        span: this.#newSpan(),
      };
      return { record: step.record, transition, result };
    });
    return afterwards(committed, (change) => this.#report(change));
  }

  #report<T>({ transition, result }: Change<T>): T {
    if (transition) {
      if (transition.to === "open" && transition.operator === null) this.#cause = transition.cause;
      if (transition.to === "closed") {
        this.#cause = undefined;
        this.#window?.success(COCKATIEL_HALF_OPEN);
      }
      this.#transitions.tell(transition);
    }
    return result;
  }

  #rejection(record: BreakerRecord, nowMs: number, options: CallOptions): CircuitBreakerOpenError {
    const { automatic, hold } = record;
    const kind = automatic.state === "closed" ? null : automatic.cause;
    return new CircuitBreakerOpenError({
      breaker: this.name,
      state: hold ? "isolated" : (automatic.state as RejectingState),
      retryAfterMs: remainingMs(record, nowMs),
      openedAtMs: hold?.atMs ?? (automatic.state === "closed" ? nowMs : automatic.openedAtMs),
      call: options.call,
      reason: hold?.reason,
      cause: hold ? undefined : (this.#cause ?? kind ?? undefined),
    });
  }
}

const NEVER = new AbortController().signal;
