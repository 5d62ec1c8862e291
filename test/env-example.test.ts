import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
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

test("the tests do not begin beside a .env of someone's own, and do beside a copy of .env.example", () => {
  const folder = mkdtempSync(join(tmpdir(), "breakwater-"));
  mkdirSync(join(folder, "test/support"), { recursive: true });
  const guard = join(folder, "test/support/env-file.ts");
  cpSync(join(import.meta.dirname, "support/env-file.ts"), guard);
  writeFileSync(join(folder, ".env.example"), TEXT);
  const begin = () => spawnSync(process.execPath, [guard], { encoding: "utf8" });
  assert.equal(begin().status, 0);
  writeFileSync(join(folder, ".env"), TEXT);
  assert.equal(begin().status, 0);
  writeFileSync(join(folder, ".env"), `${TEXT}\nDATABASE_URL=postgres://jo:hidden@box/main\n`);
  const { status, stderr } = begin();
  assert.equal(status, 1);
  assert.match(stderr, /DATABASE_URL/);
  assert.doesNotMatch(stderr, /hidden/);
  rmSync(folder, { recursive: true });
});
