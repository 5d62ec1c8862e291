import type { Permit } from "../breaker/permit.ts";
import type { SpanReference } from "../breaker/state.ts";
import type { Config } from "../config/config.ts";
import { AlpacaDisabledError, AlpacaThrottledError } from "../errors.ts";
import { THROTTLED, WINDOW_MS } from "../store/budget.ts";
import { type Attempt, type AttemptResult, makeAttempt } from "./attempt.ts";
import { type AlpacaHost, type AlpacaHosts, createAlpacaHosts } from "./host.ts";
import { retryAfterMs, throttleMs } from "./outcome.ts";
import { describeCall, methodOf, OutgoingRequest, SAFE_METHODS } from "./outgoing-request.ts";
import { sleep as realSleep, type Sleep } from "./sleep.ts";

/** What createAlpacaFetch may be told; all but the configuration has a default. */
export interface AlpacaFetchOptions {
  readonly config: Config;
  /** The fetch that makes the requests; the global one. */
  readonly fetch?: typeof fetch;
  /** Breakers and budgets to share; by default new ones, with their state in memory. */
  readonly hosts?: AlpacaHosts;
  /** Hears of every attempt. What it throws is dropped. */
  readonly onAttempt?: (attempt: Attempt) => void;
  /** Names the span of the next attempt, so that a state change can be linked to it. */
  readonly newSpan?: () => SpanReference;
  /** Clock in ms since the Unix epoch; Date.now. */
  readonly now?: () => number;
  /** From 0 up to 1, for jitter; Math.random. */
  readonly random?: () => number;
  readonly sleep?: Sleep;
}

const FIRST_RETRY_MS = 250;
/** Pause after a 429 that does not say how long. */
const DEFAULT_PAUSE_MS = 5_000;
const CREDENTIAL_HEADERS = ["apca-api-key-id", "apca-api-secret-key"] as const;

/**
 * A drop-in for `fetch` that adds the credentials for the configured hosts only, and protects them: a circuit breaker
 * and a request budget for each host, a timeout, retries of safe methods (never of POST), the body buffered. It
 * answers as `fetch` would; a redirect is handed back, never followed. Other hosts are passed on without credentials.
 *
 * @throws {CircuitBreakerOpenError} while a circuit does not admit calls
 * @throws {AlpacaThrottledError} when the budget has no place within 60 s
 * @throws {AlpacaNetworkError | AlpacaTimeoutError} when no whole answer arrived
 * @throws {AlpacaDisabledError} when Alpaca is switched off
 */
export function createAlpacaFetch(options: AlpacaFetchOptions): typeof fetch {
  const { config, now = () => Date.now(), random = Math.random, sleep = realSleep } = options;
  const send = options.fetch ?? ((input, init) => fetch(input, init));
  const hosts = options.hosts ?? createAlpacaHosts({ config, now });
  const byOrigin = new Map([hosts.data, hosts.trading].map((host) => [host.origin, host]));
  const { timeoutMs, maxRetries } = config.alpaca;
  const credentials = credentialHeaders(config);

  const alpacaFetch: typeof fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const host = byOrigin.get(url.origin);
    const given = init?.headers ?? (input instanceof Request ? input.headers : undefined);
    if (!host) return send(input, given === undefined ? init : { ...init, headers: withHeaders(given, null) });
    if (credentials === null) throw disabled(config, describeCall(methodOf(input, init), url));
    const headers = given === undefined ? credentials : withHeaders(given, credentials);
    const request = new OutgoingRequest(input, init, url, headers);
    const retries = SAFE_METHODS.has(request.method) ? maxRetries : 0;
    for (let resendCount = 0; ; resendCount++) {
      const result = await attempt(request, host, resendCount);
      const waitMs = resendCount < retries ? retryWaitMs(result, resendCount) : null;
      if (waitMs === null) {
        if ("error" in result) throw result.error;
        return result.response;
      }
      if (waitMs > 0) {
        // A circuit that this failure opened has nothing to wait for.
        host.breaker.check(request);
        await sleep(waitMs, request.signal);
      }
    }
  };

  async function attempt(request: OutgoingRequest, host: AlpacaHost, resendCount: number): Promise<AttemptResult> {
    request.signal?.throwIfAborted();
    host.breaker.check(request);
    request.span = options.newSpan?.();
    const permit = await admit(request, host);
    const startMs = now();
    let result: AttemptResult | undefined;
    try {
      result = await makeAttempt(request, send, permit, timeoutMs);
    } finally {
      report(request, { resendCount, startMs, endMs: now() }, result);
    }
    if ("response" in result) await heed(host, result.response);
    return result;
  }

  /** Waits for a place in the budget; admission is asked again after it, since much may have happened meanwhile. */
  async function admit(request: OutgoingRequest, host: AlpacaHost): Promise<Permit> {
    const deadlineMs = now() + WINDOW_MS;
    for (;;) {
      const place = await host.budget.reserve();
      if (!place.granted) throw new AlpacaThrottledError(request.call, place.waitMs, place.why);
      try {
        if (place.waitMs > 0) await sleep(place.waitMs, request.signal);
        const pausedMs = place.waitMs > 0 ? await host.budget.pausedMs() : 0;
        if (pausedMs === 0) return await host.breaker.enter(request);
        // A pause came during the wait: the place lies within it.
        if (now() + pausedMs > deadlineMs) throw new AlpacaThrottledError(request.call, pausedMs, THROTTLED);
      } catch (error) {
        await place.giveBack();
        throw error;
      }
      await place.giveBack();
    }
  }

  function report(
    request: OutgoingRequest,
    times: Pick<Attempt, "resendCount" | "startMs" | "endMs">,
    result: AttemptResult | undefined,
  ): void {
    if (!options.onAttempt) return;
    const response = result && "response" in result ? result.response : null;
    try {
      options.onAttempt({
        method: request.method,
        url: request.url,
        span: request.span,
        ...times,
        status: response?.status ?? null,
        requestId: response?.headers.get("x-request-id") ?? null,
        errorType: result ? result.errorType : "cancelled",
      });
    } catch {
      // An observer cannot break a call.
    }
  }

  /** Other programs share the account: what Alpaca says of its own count goes before ours. */
  async function heed(host: AlpacaHost, { status, headers }: Response): Promise<void> {
    if (status === 429) await host.budget.pause(throttleMs(headers, now()) ?? DEFAULT_PAUSE_MS);
    else if (headers.get("x-ratelimit-remaining") === "0") await host.budget.pause(throttleMs(headers, now()) ?? 0);
  }

  /** Time until the next attempt in ms, 0 when the budget decides; null when this result is final. */
  function retryWaitMs(result: AttemptResult, resendCount: number): number | null {
    if (result.outcome === "success") return null;
    const backoffMs = FIRST_RETRY_MS * 2 ** resendCount;
    const jitteredMs = backoffMs / 2 + (random() * backoffMs) / 2;
    const headers = "response" in result ? result.response.headers : undefined;
    if (result.outcome === "throttled") {
      const pauseMs = (headers && throttleMs(headers, now())) ?? DEFAULT_PAUSE_MS;
      // The budget waits for the pause; a Reset that is just over must not be met by a volley.
      if (pauseMs <= WINDOW_MS) return pauseMs >= jitteredMs ? 0 : jitteredMs;
      return null;
    }
    // The budget's Reset is in every answer, and says nothing of an outage.
    const askedMs = (headers && retryAfterMs(headers, now())) ?? 0;
    const waitMs = Math.max(jitteredMs, askedMs);
    return waitMs > WINDOW_MS ? null : waitMs;
  }

  return alpacaFetch;
}

function credentialHeaders({ alpaca }: Config): Record<string, string> | null {
  if (!alpaca.enabled) return null;
  const { key, secret } = alpaca.credentials;
  return { "apca-api-key-id": key.reveal(), "apca-api-secret-key": secret.reveal() };
}

/** The caller's headers, with these credentials in place of any that it set itself. */
function withHeaders(given: HeadersInit, credentials: Record<string, string> | null): Headers {
  const headers = new Headers(given);
  for (const name of CREDENTIAL_HEADERS) {
    const value = credentials?.[name];
    if (value === undefined) headers.delete(name);
    else headers.set(name, value);
  }
  return headers;
}

function disabled({ alpaca }: Config, call: string): AlpacaDisabledError {
  const why =
    !alpaca.enabled && alpaca.because === "switched_off"
      ? "Alpaca is switched off by ALPACA_ENABLED=false"
      : "Alpaca is disabled until ALPACA_API_KEY and ALPACA_API_SECRET are set";
  return new AlpacaDisabledError(`Cannot call ${call}: ${why}`);
}
