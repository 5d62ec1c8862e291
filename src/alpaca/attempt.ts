import { causeKind } from "../breaker/cause.ts";
import type { Permit } from "../breaker/permit.ts";
import type { SpanReference } from "../breaker/state.ts";
import { AlpacaNetworkError, AlpacaTimeoutError } from "../errors.ts";
import { type BufferedResponse, bufferBody } from "./body.ts";
import { type AttemptOutcome, classifyResponse, isJsonDue } from "./outcome.ts";
import type { OutgoingRequest } from "./outgoing-request.ts";

/** What became of one attempt, for spans and metrics. */
export interface Attempt {
  readonly method: string;
  readonly url: URL;
  readonly resendCount: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly status: number | null;
  readonly requestId: string | null;
  /** `error.type`: the status of an error answer, or the kind of failure; null for a good one. */
  readonly errorType: string | null;
  readonly span: SpanReference | undefined;
}

/** How an attempt ended: with an answer, whatever it says, or with the error that took its place. */
export type AttemptResult =
  | { readonly outcome: AttemptOutcome; readonly response: Response; readonly errorType: string | null }
  | { readonly outcome: "failure"; readonly error: Error; readonly errorType: string };

/**
 * Makes one request under a permit, and settles it. The timeout covers everything up to the last byte of the body.
 *
 * @throws the reason of the caller's signal, and the TypeError of a request that cannot be sent at all.
 */
export async function makeAttempt(
  request: OutgoingRequest,
  send: typeof fetch,
  permit: Permit,
  timeoutMs: number,
): Promise<AttemptResult> {
  const { signal } = request;
  const controller = new AbortController();
  let hasTimedOut = false;
  const cancel = () => controller.abort(signal?.reason);
  // A timer that is cleared costs a third of AbortSignal.timeout and AbortSignal.any.
  const timer = setTimeout(() => {
    hasTimedOut = true;
    controller.abort(new DOMException("no whole answer in time", "TimeoutError"));
  }, timeoutMs);
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    // Between admission and here the listener was not there yet.
    signal?.throwIfAborted();
    const buffered = await bufferBody(await request.send(send, controller.signal));
    return await judge(request, buffered, permit);
  } catch (error) {
    if (signal?.aborted) {
      await permit.ignore();
      throw signal.reason;
    }
    if (!hasTimedOut) await rejectUnsendable(request, permit, error);
    const failure = hasTimedOut
      ? new AlpacaTimeoutError(request.call, timeoutMs)
      : new AlpacaNetworkError(`Cannot call ${request.call}: ${describeFailure(error)} (${request.url.host})`, {
          cause: error,
        });
    await permit.fail(failure);
    return { outcome: "failure", error: failure, errorType: hasTimedOut ? "timeout" : (causeKind(error) ?? "_OTHER") };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
  }
}

async function judge(request: OutgoingRequest, buffered: BufferedResponse, permit: Permit): Promise<AttemptResult> {
  const { response } = buffered;
  const { status } = response;
  const isGood = !isJsonDue(request.method, status, request.url.pathname, buffered.isEmpty) || buffered.isJson();
  const outcome = classifyResponse(status, isGood);
  if (outcome === "success") await permit.succeed();
  else if (outcome === "throttled") await permit.ignore();
  else await permit.fail(isGood ? { status } : new Error("the body is not JSON"));
  const errorType = status >= 400 ? String(status) : isGood ? null : "invalid_body";
  return { outcome, response, errorType };
}

async function rejectUnsendable(request: OutgoingRequest, permit: Permit, error: unknown): Promise<void> {
  // A permission that Deno was not given is no outage, and must not open a circuit that others share.
  if (error instanceof Error && error.name === "NotCapable") {
    await permit.ignore();
    throw error;
  }
  try {
    request.validate();
  } catch {
    await permit.ignore();
    throw error;
  }
}

const IN_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was cut",
  UND_ERR_SOCKET: "the connection was cut",
  ENOTFOUND: "the host was not found",
  EAI_AGAIN: "the host was not found, DNS does not answer",
  ETIMEDOUT: "the connection timed out",
  UND_ERR_CONNECT_TIMEOUT: "the connection timed out",
};

function describeFailure(error: unknown): string {
  const kind = causeKind(error) ?? "no answer";
  const words = IN_WORDS[kind];
  return words === undefined ? kind : `${words}, ${kind}`;
}
