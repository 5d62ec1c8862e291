import assert from "node:assert/strict";
import type { Config, ConfigWarning } from "../../src/config/config.ts";
import { type Environment, parseConfig } from "../../src/config/parse.ts";
import { ConfigError, type ConfigProblem } from "../../src/errors.ts";

/** Credentials of the right shape, of no account. */
export const KEY = "PKTEST7QWERTYUIOPASD";
export const SECRET = "mZ8vT2kQ9wLr4XyB7nHc1dFg6sJp3aVe5uRt0iKo";
export const CREDENTIALS: Environment = { ALPACA_API_KEY: KEY, ALPACA_API_SECRET: SECRET };

/** The configuration of an environment that has credentials besides. */
export function configOf(env: Environment): Config {
  return parseConfig({ ...CREDENTIALS, ...env }).config;
}

/** The warnings for an environment that has credentials besides. */
export function warningsOf(env: Environment): ConfigWarning[] {
  return parseConfig({ ...CREDENTIALS, ...env }).warnings;
}

/** The error of an environment that cannot be used. */
export function errorOf(env: Environment): ConfigError {
  try {
    parseConfig(env);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error;
  }
  return assert.fail("the configuration was accepted");
}

/** What is wrong with an environment that cannot be used. */
export function problemsOf(env: Environment): readonly ConfigProblem[] {
  return errorOf(env).problems;
}
