import assert from "node:assert/strict";
import { test } from "node:test";
import type { AlpacaConfig } from "../../src/config/config.ts";
import { parseConfig } from "../../src/config/parse.ts";
import { CREDENTIALS, configOf, KEY, problemsOf, SECRET, warningsOf } from "./support.ts";

function credentialsOf(alpaca: AlpacaConfig): [string, string] {
  // @ts-expect-error without a look at `enabled` there are no credentials
  const { credentials } = alpaca;
  assert.ok(alpaca.enabled);
  assert.equal(credentials, alpaca.credentials);
  return [alpaca.credentials.key.reveal(), alpaca.credentials.secret.reveal()];
}

/** Letters and digits as random as a real secret's, the same in every run. */
function randomSecrets(count: number, length: number): string[] {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  let seed = 20_260_105;
  const next = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return alphabet[Math.floor((seed / 2_147_483_648) * alphabet.length)] ?? "A";
  };
  return Array.from({ length: count }, () => Array.from({ length }, next).join(""));
}

test("with both credentials Alpaca is enabled, without a warning", () => {
  assert.deepEqual(credentialsOf(configOf({}).alpaca), [KEY, SECRET]);
  assert.deepEqual(warningsOf({}), []);
});

test("each missing credential is a warning that says what to do, and disables Alpaca", () => {
  const { config, warnings } = parseConfig({});
  assert.deepEqual(config.alpaca.enabled === false && config.alpaca.because, "credentials_missing");
  assert.deepEqual(warnings, [
    {
      area: "alpaca",
      variable: "ALPACA_API_KEY",
      message: "is missing; set it to the key from Alpaca's dashboard; Alpaca is disabled until then",
    },
    {
      area: "alpaca",
      variable: "ALPACA_API_SECRET",
      message: "is missing; set it to the secret from Alpaca's dashboard; Alpaca is disabled until then",
    },
  ]);
});

test("one credential of two is not enough, and only the other is warned of", () => {
  for (const [given, missing] of [
    ["ALPACA_API_KEY", "ALPACA_API_SECRET"],
    ["ALPACA_API_SECRET", "ALPACA_API_KEY"],
  ] as const) {
    const { config, warnings } = parseConfig({ [given]: CREDENTIALS[given] });
    assert.equal(config.alpaca.enabled, false);
    assert.deepEqual(
      warnings.map(({ variable }) => variable),
      [missing],
    );
  }
});

test("a blank credential is a missing one", () => {
  assert.match(warningsOf({ ALPACA_API_KEY: "  " })[0]?.message ?? "", /^is missing;/);
});

test("ALPACA_ENABLED=true makes missing credentials and placeholders an error", () => {
  assert.deepEqual(problemsOf({ ALPACA_ENABLED: "true", ALPACA_API_SECRET: "changeme" }), [
    {
      variable: "ALPACA_API_KEY",
      message: "is missing; set it to the key from Alpaca's dashboard, or set ALPACA_ENABLED to auto",
    },
    {
      variable: "ALPACA_API_SECRET",
      message: "is a placeholder; set it to the secret from Alpaca's dashboard, or set ALPACA_ENABLED to auto",
    },
  ]);
  assert.equal(configOf({ ALPACA_ENABLED: "true" }).alpaca.enabled, true);
});

test("ALPACA_ENABLED=false switches Alpaca off without a warning, whatever else is set", () => {
  for (const env of [
    {},
    CREDENTIALS,
    { ALPACA_API_KEY: "your_api_key_here" },
    { ...CREDENTIALS, APCA_API_KEY_ID: "another", ALPACA_BASE_URL: "https://data.alpaca.markets/v2" },
  ]) {
    const { config, warnings } = parseConfig({ ...env, ALPACA_ENABLED: "false" });
    assert.equal(config.alpaca.enabled === false && config.alpaca.because, "switched_off");
    assert.deepEqual(warnings, []);
    assert.equal("credentials" in config.alpaca, false);
  }
});

test("ALPACA_ENABLED=false leaves the warnings that are not about Alpaca", () => {
  const { warnings } = parseConfig({ ALPACA_ENABLED: "false", OTEL_RESOURCE_ATTRIBUTES: "nonsense" });
  assert.deepEqual(
    warnings.map(({ area }) => area),
    ["telemetry"],
  );
});

test("ALPACA_ENABLED=false does not excuse a bad value", () => {
  assert.equal(problemsOf({ ALPACA_ENABLED: "false", ALPACA_BASE_URL: "nowhere" }).length, 1);
});

test("placeholders are seen for what they are", () => {
  for (const value of [
    "your_api_key_here",
    "YOUR_API_KEY_HERE",
    "your-api-key",
    "your api key",
    "yourapikey",
    "YourAlpacaSecretKey",
    "your",
    "my_secret",
    "my-key",
    "changeme",
    "CHANGE_ME",
    "change-this",
    "replace_with_your_key",
    "ReplaceMe",
    "insert-key",
    "enter_key",
    "put_key_in",
    "add your key",
    "paste_key",
    "example",
    "example_key",
    "paper_key_goes_here",
    "secret-here",
    "placeholder",
    "TODO",
    "tbd",
    "none",
    "null",
    "undefined",
    "api_key",
    "API-KEY",
    "apikey",
    "api_secret",
    "secret_key",
    "key_id",
    "<key>",
    "<your key>",
    "[key]",
    "{{ key }}",
    "$ALPACA_API_KEY",
    `\${KEY}`,
    "xxx",
    "XXXXXXXXXXXXXXXXXXXX",
    "PKXXXXXXXXXXXXXXXXXX",
    "AKxxxxxx",
    "********",
    "0000000000",
    "...",
    "PK...",
  ]) {
    for (const variable of ["ALPACA_API_KEY", "ALPACA_API_SECRET"] as const) {
      const { config, warnings } = parseConfig({ ...CREDENTIALS, [variable]: value });
      assert.equal(config.alpaca.enabled, false, value);
      assert.deepEqual(
        warnings.map((warning) => warning.variable),
        [variable],
        value,
      );
      assert.match(warnings[0]?.message ?? "", /^is a placeholder; set it to /, value);
    }
  }
});

test("random secrets are not taken for placeholders", () => {
  for (const secret of randomSecrets(2_000, 40)) {
    assert.deepEqual(credentialsOf(configOf({ ALPACA_API_SECRET: secret }).alpaca), [KEY, secret]);
  }
});

test("a random secret may begin or end like a placeholder", () => {
  const [random = assert.fail()] = randomSecrets(1, 40);
  for (const word of [
    "my",
    "My",
    "MY",
    "your",
    "Your",
    "YOUR",
    "Xxx",
    "xxx",
    "XXXX",
    "change",
    "put",
    "add",
    "enter",
    "todo",
    "none",
    "null",
    "api",
    "apikey",
    "key",
    "example",
    "here",
  ]) {
    const first = word + random.slice(word.length);
    const last = `${random.slice(word.length)}${word}`;
    for (const secret of [first, last]) {
      assert.equal(secret.length, 40);
      assert.deepEqual(credentialsOf(configOf({ ALPACA_API_SECRET: secret }).alpaca), [KEY, secret], secret);
    }
  }
});

test("secrets with the separators of base64 are not taken for placeholders", () => {
  for (const secret of ["q+Z8/vT2kQ9wLr4XyB7nHc1dFg6sJp3aVe5uRt0i=", "Ab_9-Zq81mYt-_kQ9wLr4XyB7nHc1dFg6sJp3aVe"]) {
    assert.deepEqual(credentialsOf(configOf({ ALPACA_API_SECRET: secret }).alpaca), [KEY, secret]);
  }
});

test("a credential that no header can carry is refused before a fetch would quote it", () => {
  for (const value of ["PK TEST 123", "PK\nTEST", "PKT€ST123", "PKTEST\u200b123", "PK\u0000TEST"]) {
    const { config, warnings } = parseConfig({ ...CREDENTIALS, ALPACA_API_KEY: value });
    assert.equal(config.alpaca.enabled, false);
    assert.match(warnings[0]?.message ?? "", /^has characters that no credential has; /);
  }
});

test("aliases stand in for a name that is unset or blank", () => {
  for (const [alias, read] of [
    ["APCA_API_KEY_ID", 0],
    ["APCA_API_SECRET_KEY", 1],
    ["ALPACA_SECRET_KEY", 1],
  ] as const) {
    const own = read === 0 ? "ALPACA_API_KEY" : "ALPACA_API_SECRET";
    for (const blank of [undefined, " "]) {
      const { config, warnings } = parseConfig({ ...CREDENTIALS, [own]: blank, [alias]: " Zq81mYtAlias " });
      assert.equal(credentialsOf(config.alpaca)[read], "Zq81mYtAlias");
      assert.deepEqual(warnings, []);
    }
  }
  const { alpaca } = configOf({
    APCA_API_BASE_URL: "https://api.alpaca.markets",
    APCA_API_DATA_URL: "https://data.sandbox.alpaca.markets",
  });
  assert.deepEqual(
    [alpaca.baseUrl, alpaca.dataUrl],
    ["https://api.alpaca.markets", "https://data.sandbox.alpaca.markets"],
  );
});

test("of several names the variable's own wins, then the aliases in their order, and a conflict warns", () => {
  const names = ["ALPACA_API_SECRET", "APCA_API_SECRET_KEY", "ALPACA_SECRET_KEY"];
  const values = ["Zq81mYtOne", "Zq81mYtTwo", "Zq81mYtThree"];
  const pick = (from: number) =>
    parseConfig({
      ALPACA_API_KEY: KEY,
      ...Object.fromEntries(names.map((name, index) => [name, index < from ? undefined : values[index]])),
    });
  for (const [from, message] of [
    [0, "is used, and APCA_API_SECRET_KEY and ALPACA_SECRET_KEY has another value; remove one of them"],
    [1, "is used, and ALPACA_SECRET_KEY has another value; remove one of them"],
    [2, undefined],
  ] as const) {
    const { config, warnings } = pick(from);
    assert.equal(credentialsOf(config.alpaca)[1], values[from]);
    assert.deepEqual(warnings, message ? [{ area: "alpaca", variable: names[from], message }] : []);
  }
});

test("an alias with the same value is no conflict", () => {
  assert.deepEqual(warningsOf({ APCA_API_KEY_ID: ` ${KEY} `, APCA_API_SECRET_KEY: SECRET }), []);
});

test("a conflict warns of URLs too", () => {
  const [warning] = warningsOf({
    ALPACA_BASE_URL: "https://paper-api.alpaca.markets",
    APCA_API_BASE_URL: "https://api.alpaca.markets",
  });
  assert.equal(warning?.variable, "ALPACA_BASE_URL");
  assert.match(warning?.message ?? "", /^is used, and APCA_API_BASE_URL has another value/);
});

test("a key that does not belong to the host warns", () => {
  const LIVE = "https://api.alpaca.markets";
  const PAPER = "https://paper-api.alpaca.markets";
  const LOCAL = "http://127.0.0.1:8080";
  const rest = KEY.slice(2);
  for (const [prefix, url, message] of [
    ["PK", LIVE, /^looks like a paper key, and ALPACA_BASE_URL is the live host/],
    ["AK", PAPER, /^looks like a live key, and ALPACA_BASE_URL is the paper host/],
    ["CK", LIVE, /^looks like a key of the Broker API/],
    ["CK", PAPER, /^looks like a key of the Broker API/],
    ["PK", PAPER, null],
    ["AK", LIVE, null],
    ["PK", LOCAL, null],
    ["AK", LOCAL, null],
    ["CK", LOCAL, null],
    ["ZZ", LIVE, null],
    ["ZZ", PAPER, null],
  ] as const) {
    const { config, warnings } = parseConfig({
      ...CREDENTIALS,
      ALPACA_API_KEY: prefix + rest,
      ALPACA_BASE_URL: url,
    });
    assert.equal(config.alpaca.enabled, true);
    if (message === null) {
      assert.deepEqual(warnings, []);
    } else {
      assert.deepEqual(
        warnings.map(({ variable }) => variable),
        ["ALPACA_API_KEY"],
      );
      assert.match(warnings[0]?.message ?? "", message);
    }
  }
});
