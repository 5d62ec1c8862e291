import type { AlpacaClient, Clock } from "../alpaca/client.ts";
import { readAnswer } from "../alpaca/request.ts";
import { causeKind } from "../breaker/cause.ts";
import type { Config } from "../config/config.ts";
import {
  AlpacaError,
  AlpacaNetworkError,
  AlpacaThrottledError,
  AlpacaTimeoutError,
  CircuitBreakerOpenError,
} from "../errors.ts";
import { clockSkew, describeSkew } from "./clock-skew.ts";

/** What one look at a part of the set-up has shown. */
export interface Check {
  readonly name: string;
  readonly status: "ok" | "warning" | "failed" | "skipped";
  readonly detail: string;
  /** The way out, where there is something to mend. */
  readonly remedy?: string;
  /** Time until the whole answer was there, waits and retries included. */
  readonly latencyMs?: number;
  /** How far this machine's clock is ahead of Alpaca's, or behind it when negative. */
  readonly skewMs?: number;
  /** What a failed one failed with. */
  readonly error?: Error;
}

type Finding = Omit<Check, "name">;
type Alpaca = AlpacaClient & { readonly fetch: typeof fetch };

/** What the checks of Alpaca need. */
export interface Look {
  readonly alpaca: Alpaca;
  readonly config: Config;
  readonly signal: AbortSignal;
  /** Hears the name of each check before it is made. */
  readonly onCheck: (name: string) => void;
}

/** Looks at Alpaca's hosts, one after the other: of several calls at once a half-open circuit would reject all but one. */
export async function checkAlpaca(look: Look): Promise<Check[]> {
  return [
    await check("trading host and credentials", "ALPACA_BASE_URL", look, () => checkAccount(look)),
    await check("clock", "ALPACA_BASE_URL", look, () => checkClock(look)),
    await check("market data host", "ALPACA_DATA_URL", look, () => checkData(look)),
  ];
}

async function checkAccount({ alpaca }: Look): Promise<Finding> {
  const account = await alpaca.getAccount();
  const detail = `account ${account.account_number ?? account.id} is ${account.status}`;
  const blocks = [
    account.trading_blocked && "its trading is blocked",
    account.account_blocked && "it is blocked",
    account.trade_suspended_by_user && "you have suspended its trading",
  ].filter((block) => typeof block === "string");
  if (blocks.length === 0 && account.status === "ACTIVE") return { status: "ok", detail };
  return { status: "warning", detail: [detail, ...blocks].join(", "), remedy: "see the account in Alpaca's dashboard" };
}

async function checkClock(look: Look): Promise<Finding> {
  const { response, answer, sentMs, receivedMs } = await ask(look, `${look.config.alpaca.baseUrl}/v2/clock`, "Clock");
  const { timestamp, is_open } = answer as Clock;
  const market = `market is ${is_open ? "open" : "closed"}`;
  const times = [
    { serverMs: Date.parse(timestamp), resolutionMs: 0 },
    { serverMs: Date.parse(response.headers.get("date") ?? ""), resolutionMs: 1_000 },
  ].filter(({ serverMs }) => !Number.isNaN(serverMs));
  // The worse of the two counts, so that it does not take both to be warned.
  const [worst] = times
    .map((time) => clockSkew({ ...time, sentMs, receivedMs }))
    .sort((a, b) => Number(b.isOff) - Number(a.isOff) || (a.isOff ? Math.abs(b.skewMs) - Math.abs(a.skewMs) : 0));
  if (worst === undefined) return { status: "warning", detail: `${market}, and Alpaca's time cannot be read` };
  const { skewMs, doubtMs, isOff } = worst;
  if (!isOff) {
    const within = Math.max(0.1, Math.ceil((Math.abs(skewMs) + doubtMs) / 100) / 10);
    return { status: "ok", detail: `${market}, this machine is within ${within} s of Alpaca`, skewMs };
  }
  const detail = `${market}, this machine is ${describeSkew(skewMs)} Alpaca`;
  return { status: "warning", detail, remedy: "set this machine's clock by NTP", skewMs };
}

async function checkData(look: Look): Promise<Finding> {
  const { dataUrl } = look.config.alpaca;
  await ask(look, `${dataUrl}/v2/stocks/AAPL/bars?timeframe=1Day&limit=1&feed=iex`, "Bars", true);
  return { status: "ok", detail: `${dataUrl} answers` };
}

/** Asks by the fetch itself, since the client does not show an answer's headers. */
async function ask({ alpaca, config, signal }: Look, address: string, schema: "Bars" | "Clock", isData = false) {
  const url = new URL(address);
  const secrets = config.alpaca.enabled ? Object.values(config.alpaca.credentials).map((one) => one.reveal()) : [];
  const sentMs = Date.now();
  const response = await alpaca.fetch(url, { signal });
  const receivedMs = Date.now();
  const answer = await readAnswer(response, { method: "GET", url, schema, isList: false, isData, secrets });
  return { response, answer, sentMs, receivedMs };
}

async function check(
  name: string,
  urlVariable: string,
  { signal, onCheck }: Look,
  find: () => Promise<Finding>,
): Promise<Check> {
  signal.throwIfAborted();
  onCheck(name);
  const startMs = performance.now();
  const latencyMs = () => Math.round(performance.now() - startMs);
  try {
    return { name, ...(await find()), latencyMs: latencyMs() };
  } catch (error) {
    if (signal.aborted || !(error instanceof Error)) throw error;
    const remedy = remedyOf(error, urlVariable);
    return {
      name,
      status: "failed",
      detail: describe(error),
      ...(remedy && { remedy }),
      latencyMs: latencyMs(),
      error,
    };
  }
}

function describe(error: Error): string {
  if (!(error instanceof CircuitBreakerOpenError)) return error.message;
  // Without what opened it, a circuit hides the very thing that is to be mended.
  const kind = typeof error.cause === "string" ? error.cause : causeKind(error.cause);
  return kind === null ? error.message : `${error.message}, opened by ${kind}`;
}

function remedyOf(error: Error, urlVariable: string): string | null {
  if (error instanceof AlpacaNetworkError) {
    // Deno's own word for a host that the command line does not name.
    const isForbidden = (error.cause as Error | undefined)?.name === "NotCapable";
    return isForbidden ? "add the host to --allow-net" : `check this machine's network, and ${urlVariable}`;
  }
  if (error instanceof AlpacaTimeoutError) return `check this machine's network, or raise ALPACA_TIMEOUT_MS`;
  if (error instanceof AlpacaThrottledError) return "wait a minute; the scripts of an account share its limit";
  if (error instanceof CircuitBreakerOpenError) {
    return error.state === "isolated"
      ? `npm run breaker -- release ${error.breaker}`
      : "wait until then; it has seen an outage, and the next call after that tests the host again";
  }
  if (!(error instanceof AlpacaError)) return null;
  switch (error.kind) {
    case "credentials":
      return error.status === 401
        ? "make a new pair of keys in Alpaca's dashboard, or mend ALPACA_API_KEY and ALPACA_API_SECRET"
        : "check ALPACA_API_KEY and ALPACA_API_SECRET, and that the account's data plan covers the IEX feed";
    case "throttled":
      return "wait a minute; the scripts of an account share its limit";
    case "unavailable":
      return `look at Alpaca's status page; if all is well there, check ${urlVariable}`;
    default:
      return `check that ${urlVariable} is Alpaca's`;
  }
}
