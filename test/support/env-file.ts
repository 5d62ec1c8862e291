import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseEnv } from "node:util";

/**
 * Ends the tests before they begin where a `.env` sets more than `.env.example` does: their scripts would read it, and
 * reach its account, its collector and its database.
 */
const own = readVariables(".env");
const example = readVariables(".env.example");
const set = Object.keys(own).filter((name) => own[name]?.trim() && own[name] !== example[name]);
if (set.length > 0) {
  process.stderr.write(
    `Cannot test beside .env, which sets ${set.join(", ")}: the scripts under test would use it. ` +
      "Test in a clone of its own, or move .env away meanwhile (mv .env .env.away)\n",
  );
  process.exit(1);
}

function readVariables(name: string): Record<string, string | undefined> {
  try {
    return parseEnv(readFileSync(join(import.meta.dirname, "../..", name), "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
}
