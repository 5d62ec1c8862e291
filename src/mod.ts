export { type AlpacaClient, type CallSettings, createAlpacaClient, type OrderQuery } from "./alpaca/client.ts";
export { type AlpacaFetchOptions, createAlpacaFetch } from "./alpaca/fetch.ts";
export { type AlpacaHost, type AlpacaHosts, type AlpacaHostsOptions, createAlpacaHosts } from "./alpaca/host.ts";
export type { Account, CalendarDay, Clock, Order, Position } from "./alpaca/schemas.ts";
export { openSharedHosts, type SharedHosts, type SharedHostsOptions } from "./alpaca/shared.ts";
export type { BreakerCell, Change } from "./breaker/cell.ts";
export { type CallOptions, CircuitBreaker } from "./breaker/circuit-breaker.ts";
export { withCircuitBreaker } from "./breaker/decorator.ts";
export type { CircuitBreakerOptions } from "./breaker/options.ts";
export { Permit } from "./breaker/permit.ts";
export {
  type BreakerRecord,
  type CallOutcome,
  CircuitState,
  type Transition,
  type TransitionReason,
} from "./breaker/state.ts";
export type { AlpacaConfig, BreakerPolicy, Config, ConfigWarning, TelemetryConfig } from "./config/config.ts";
export { type Environment, parseConfig } from "./config/parse.ts";
export {
  AlpacaDisabledError,
  AlpacaError,
  AlpacaNetworkError,
  AlpacaThrottledError,
  AlpacaTimeoutError,
  BreakwaterError,
  CircuitBreakerOpenError,
  ConfigError,
  type ConfigProblem,
  EXIT,
  type ExitCode,
  exitCodeOf,
  InterruptedError,
  JobError,
  UsageError,
} from "./errors.ts";
export { ATTRIBUTE, INSTRUMENTS, type InstrumentName } from "./instruments.ts";
export { type Args, type Flag, type Flags, parseDuration } from "./script/flags.ts";
export { runScript, type ScriptContext, type ScriptDefinition } from "./script/run-script.ts";
export type { HistoryEntry, Store, StoredBreaker, StoreProblem } from "./store/store.ts";
