import type { ConfigProblem } from "../errors.ts";
import type { AlpacaAccess, AlpacaConfig, AlpacaEnvironment, ConfigWarning } from "./config.ts";
import { Secret } from "./secret.ts";
import { isLoopback, type Variables } from "./variables.ts";

const LIVE_HOST = "api.alpaca.markets";
const PAPER_HOST = "paper-api.alpaca.markets";
const DATA_HOSTS = ["data.alpaca.markets", "data.sandbox.alpaca.markets"];

// A real secret is random letters and digits, so a word alone proves nothing: a separator or the whole value must.
const PLACEHOLDER = new RegExp(
  [
    "^(?:your|my|change|replace|insert|enter|put|add|paste|example)(?:[-_ ]|$)",
    "^your(?:alpaca)?(?:api|key|secret)",
    "^(?:changeme|replaceme|placeholder|todo|tbd|none|null|undefined|api[-_ ]?key|api[-_ ]?secret|secret[-_ ]?key|key[-_ ]?id)$",
    "[<>[\\]{}$]",
    "^(.)\\1+$",
    "x{6,}$",
    "\\.{3}$",
    "[-_ ]here$",
  ].join("|"),
  "i",
);

/** The part of the configuration that concerns Alpaca; what is wrong or odd is added to `problems` and `warnings`. */
export function parseAlpaca(variables: Variables, warnings: ConfigWarning[], problems: ConfigProblem[]): AlpacaConfig {
  const warn = (variable: string, message: string) => warnings.push({ area: "alpaca", variable, message });
  const access = parseAccess(variables, warn, problems);
  const baseUrl = tidyUrl("ALPACA_BASE_URL", variables.ALPACA_BASE_URL, warn);
  const dataUrl = tidyUrl("ALPACA_DATA_URL", variables.ALPACA_DATA_URL, warn);
  const environment = environmentOf(baseUrl.hostname);
  if (access.enabled) {
    warnOfPrefix(access.credentials.key, environment, warn);
    warnOfHosts(baseUrl.hostname, dataUrl.hostname, warn);
  }
  const recoveryTimeoutMs = variables.ALPACA_BREAKER_RECOVERY_SECONDS;
  const maxRecoveryTimeoutMs = variables.ALPACA_BREAKER_MAX_RECOVERY_SECONDS;
  return {
    ...access,
    environment,
    baseUrl: withoutSlash(baseUrl),
    dataUrl: withoutSlash(dataUrl),
    allowLive: variables.ALPACA_ALLOW_LIVE,
    timeoutMs: variables.ALPACA_TIMEOUT_MS,
    maxRetries: variables.ALPACA_MAX_RETRIES,
    requestsPerMinute: variables.ALPACA_REQUESTS_PER_MINUTE,
    breaker: {
      failureThreshold: variables.ALPACA_BREAKER_FAILURE_THRESHOLD,
      failureWindowMs: variables.ALPACA_BREAKER_FAILURE_WINDOW_SECONDS,
      failureRatio: variables.ALPACA_BREAKER_FAILURE_RATIO ?? null,
      windowMs: variables.ALPACA_BREAKER_WINDOW_SECONDS,
      minimumCalls: variables.ALPACA_BREAKER_MINIMUM_CALLS,
      recoveryTimeoutMs,
      maxRecoveryTimeoutMs: Math.max(recoveryTimeoutMs, maxRecoveryTimeoutMs),
      halfOpenProbes: variables.ALPACA_BREAKER_HALF_OPEN_PROBES,
    },
  };
}

type Warn = (variable: string, message: string) => void;

function parseAccess(variables: Variables, warn: Warn, problems: ConfigProblem[]): AlpacaAccess {
  if (variables.ALPACA_ENABLED === "false") return { enabled: false, because: "switched_off" };
  const usable = (["ALPACA_API_KEY", "ALPACA_API_SECRET"] as const).map((variable) => {
    const value = variables[variable];
    const flaw = flawOf(value);
    if (flaw === null) return value;
    const remedy = `${flaw}; set it to the ${variable === "ALPACA_API_KEY" ? "key" : "secret"} from Alpaca's dashboard`;
    if (variables.ALPACA_ENABLED === "true") {
      problems.push({ variable, message: `${remedy}, or set ALPACA_ENABLED to auto` });
    } else {
      warn(variable, `${remedy}; Alpaca is disabled until then`);
    }
    return undefined;
  });
  const [key, secret] = usable;
  if (key === undefined || secret === undefined) return { enabled: false, because: "credentials_missing" };
  return { enabled: true, credentials: { key: new Secret(key), secret: new Secret(secret) } };
}

function flawOf(value: string | undefined): string | null {
  if (value === undefined) return "is missing";
  if (PLACEHOLDER.test(value)) return "is a placeholder";
  // A header cannot carry anything else, and a fetch that fails on one quotes the value.
  if (!/^[\x21-\x7e]+$/.test(value)) return "has characters that no credential has";
  return null;
}

function environmentOf(hostname: string): AlpacaEnvironment {
  if (hostname === LIVE_HOST) return "live";
  return hostname === PAPER_HOST ? "paper" : "custom";
}

function tidyUrl(variable: string, parsed: URL | string, warn: Warn): URL {
  const url = new URL(parsed);
  url.hostname = url.hostname.replace(/\.$/, "");
  const path = url.pathname.replace(/\/v\d+\/?$/, "/");
  if (path !== url.pathname) {
    warn(variable, "ends in a version such as /v2, which every call adds by itself; it is left out");
    url.pathname = path;
  }
  return url;
}

function withoutSlash(url: URL): string {
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

function warnOfPrefix(key: Secret, environment: AlpacaEnvironment, warn: Warn): void {
  const prefix = key.reveal().slice(0, 2);
  if (prefix === "PK" && environment === "live") {
    warn(
      "ALPACA_API_KEY",
      "looks like a paper key, and ALPACA_BASE_URL is the live host; use keys and host of one account",
    );
  }
  if (prefix === "AK" && environment === "paper") {
    warn(
      "ALPACA_API_KEY",
      "looks like a live key, and ALPACA_BASE_URL is the paper host; use keys and host of one account",
    );
  }
  if (prefix === "CK" && environment !== "custom") {
    warn("ALPACA_API_KEY", "looks like a key of the Broker API, which these scripts do not use");
  }
}

function warnOfHosts(base: string, data: string, warn: Warn): void {
  if (DATA_HOSTS.includes(base)) {
    warn(
      "ALPACA_BASE_URL",
      `is the market data host; trading is at https://${PAPER_HOST}, data goes into ALPACA_DATA_URL`,
    );
  }
  if (data === LIVE_HOST || data === PAPER_HOST) {
    warn("ALPACA_DATA_URL", `is a trading host; market data is at https://${DATA_HOSTS[0]}`);
  }
}

/** Whether a change there may touch real money: the live host, and any other that is neither paper nor this machine. */
export function mayBeLive(config: AlpacaConfig): boolean {
  return config.environment !== "paper" && !isLoopback(new URL(config.baseUrl).hostname);
}
