import assert from "node:assert/strict";
import { test } from "node:test";
import { format, inspect } from "node:util";
import { type Environment, parseConfig } from "../../src/config/parse.ts";
import { Secret } from "../../src/config/secret.ts";
import { ALIASES, VARIABLE_NAMES } from "../../src/config/variables.ts";
import { ConfigError } from "../../src/errors.ts";
import { CREDENTIALS, KEY, SECRET } from "./support.ts";

const NAMES = [...VARIABLE_NAMES, ...Object.values(ALIASES).flat()];

/** What these hold is meant to be seen: a name, and a path. */
const SHOWN = ["OTEL_SERVICE_NAME", "STATE_DIR"];

/** Every run of four characters of a value, which must not be seen. */
function partsOf(value: string): string[] {
  return Array.from({ length: value.length - 3 }, (_, start) => value.slice(start, start + 4));
}

/** All that anybody may get to see of an environment: the error, or the warnings and the configuration. */
function seenOf(env: Environment): string {
  try {
    const { config, warnings } = parseConfig(env);
    return [config, warnings].map(shown).join("\n");
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return [error.message, String(error), error.stack, shown(error), shown(error.problems)].join("\n");
  }
}

function shown(value: unknown): string {
  const everything = { depth: null, showHidden: true, getters: true, maxArrayLength: null };
  return [JSON.stringify(value), inspect(value, everything), format("%o %O %j %s", value, value, value, value)].join(
    "\n",
  );
}

function assertUnseen(seen: string, value: string, what: string): void {
  for (const part of partsOf(value)) {
    assert.ok(!seen.toLowerCase().includes(part.toLowerCase()), `${what}: a part of the value is seen`);
  }
}

const CANARY = "Zq81jWv7Kx3bYg96Qh5Fz2";

test("a secret in the wrong place is not seen, in any variable and alias", () => {
  for (const name of NAMES) {
    for (const ALPACA_ENABLED of ["auto", "true"]) {
      const env = { ...CREDENTIALS, ALPACA_ENABLED, [name]: CANARY };
      if (SHOWN.includes(name)) continue;
      assertUnseen(seenOf(env), CANARY, name);
    }
  }
});

test("a secret within a URL, a number, a list or a word is not seen either", () => {
  for (const name of NAMES) {
    if (SHOWN.includes(name) || name === "OTEL_RESOURCE_ATTRIBUTES") continue;
    for (const value of [
      `${CANARY} 12`,
      `true ${CANARY}`,
      `1${CANARY}`,
      `ftp://${CANARY}`,
      `https://${CANARY}@`,
      `https://someone:${CANARY}@h`,
      `http://[${CANARY}]`,
      `postgres://someone:${CANARY}@h/db`,
      `postgres://someone:${CANARY}@h:port/db`,
      `mysql://someone:${CANARY}@h/db`,
      `your_${CANARY}`,
      `<${CANARY}>`,
      `${CANARY}\n`,
      `x=${CANARY}`,
    ]) {
      assertUnseen(seenOf({ ...CREDENTIALS, [name]: value }), CANARY, `${name} ${value.replace(CANARY, "…")}`);
    }
  }
});

test("a secret in a query is not seen where a URL may have none", () => {
  for (const name of ["ALPACA_BASE_URL", "ALPACA_DATA_URL", "APCA_API_BASE_URL", "APCA_API_DATA_URL"]) {
    for (const value of [`https://h/?token=${CANARY}`, `https://h/#${CANARY}`, `http://h/${CANARY}`]) {
      assertUnseen(seenOf({ ...CREDENTIALS, [name]: value }), CANARY, name);
    }
  }
});

test("resource attributes that cannot be read are not quoted", () => {
  for (const value of [CANARY, `a=b,${CANARY}`, `${CANARY}=%E0%A4%A`, `a=${CANARY}=c`]) {
    assertUnseen(seenOf({ ...CREDENTIALS, OTEL_RESOURCE_ATTRIBUTES: value }), CANARY, value.replace(CANARY, "…"));
  }
});

test("good credentials are in the configuration and not seen in it", () => {
  const { config } = parseConfig({ ...CREDENTIALS, OTEL_EXPORTER_OTLP_HEADERS: `x-api-key=${CANARY}` });
  assert.ok(config.alpaca.enabled);
  assert.equal(config.alpaca.credentials.key.reveal(), KEY);
  assert.equal(config.alpaca.credentials.secret.reveal(), SECRET);
  const seen = shown(config);
  for (const value of [KEY, SECRET, CANARY]) assertUnseen(seen, value, "config");
  assert.match(seen, /\[hidden\]/);
});

test("conflicting credentials are not seen in the warning", () => {
  const other = "Wk72nUb9Lc4pEr85Tm6Hd1";
  const env = {
    ALPACA_API_KEY: KEY,
    APCA_API_KEY_ID: other,
    ALPACA_API_SECRET: CANARY,
    ALPACA_SECRET_KEY: `${other}x`,
  };
  const seen = seenOf(env);
  assert.match(seen, /has another value/);
  for (const value of [KEY, other, CANARY]) assertUnseen(seen, value, "conflict");
});

test("the key's prefix is not seen in the warning that it causes", () => {
  const { warnings } = parseConfig({ ...CREDENTIALS, ALPACA_BASE_URL: "https://api.alpaca.markets" });
  assert.equal(warnings.length, 1);
  assertUnseen(shown(warnings), KEY, "prefix");
});

test("a secret is hidden in every way of printing, and revealed on purpose only", () => {
  const secret = new Secret(CANARY);
  const nested = { deep: [secret], map: new Map([["key", secret]]) };
  for (const text of [
    String(secret),
    `${secret}`,
    "".concat(secret as unknown as string),
    JSON.stringify(nested),
    inspect(secret, { showHidden: true }),
    inspect(nested, { depth: null, showHidden: true }),
    format("%s %o %O %j", secret, secret, secret, secret),
    Object.entries(secret).join(),
    JSON.stringify({ ...secret }),
    JSON.stringify(structuredClone(secret)),
    new Error("bad", { cause: secret }).message,
  ]) {
    assertUnseen(text, CANARY, "secret");
  }
  assert.equal(String(secret), "[hidden]");
  assert.equal(JSON.stringify({ secret }), '{"secret":"[hidden]"}');
  assert.equal(inspect(secret), "[hidden]");
  assert.equal(secret.reveal(), CANARY);
});

test("Deno's console hides a secret too", () => {
  const custom = (new Secret(CANARY) as unknown as Record<symbol, () => string>)[Symbol.for("Deno.customInspect")];
  assert.equal(custom?.(), "[hidden]");
});
