import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseEnv } from "node:util";
import { parseConfig } from "../src/config/parse.ts";
import { VARIABLE_NAMES, VARIABLES } from "../src/config/variables.ts";

const TEXT = readFileSync(join(import.meta.dirname, "../.env.example"), "utf8");
const LISTED = [...TEXT.matchAll(/^#?([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(([, name = "", value = ""]) => ({ name, value }));

test(".env.example lists exactly the variables of the schema", () => {
  assert.deepEqual(LISTED.map(({ name }) => name).toSorted(), VARIABLE_NAMES.toSorted());
});

test("the values in .env.example are the defaults", () => {
  const presets = LISTED.filter(({ name, value }) => {
    const entry = VARIABLES.entries[name as keyof typeof VARIABLES.entries] as { default?: string };
    return value !== "" && entry.default !== undefined && entry.default !== value;
  });
  assert.deepEqual(presets, []);
});

test(".env.example as it is disables Alpaca with a warning for each credential", () => {
  const { config, warnings } = parseConfig(parseEnv(TEXT));
  assert.equal(config.alpaca.enabled, false);
  assert.deepEqual(
    warnings.map(({ variable }) => variable),
    ["ALPACA_API_KEY", "ALPACA_API_SECRET"],
  );
});
