import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseEnv } from "node:util";
import { ConfigError } from "../errors.ts";
import { TOOLKIT_FOLDER } from "../store/open.ts";

/**
 * Variables of the process, and of `.env` where the process has none or a blank one. What OTEL_* variables `.env` adds
 * are set in the process too, since the OpenTelemetry SDK reads them there.
 *
 * @throws {ConfigError} for a `.env` that cannot be read, with the number of the line.
 */
export function readEnvironment(
  names: readonly string[],
  folder: string = TOOLKIT_FOLDER,
): Record<string, string | undefined> {
  const file = readEnvFile(join(folder, ".env"));
  const env: Record<string, string | undefined> = {};
  // By name: on Deno, a script may read these and no others.
  for (const name of names) {
    const own = process.env[name];
    env[name] = own?.trim() ? own : (file[name] ?? own);
    if (name.startsWith("OTEL_") && !own?.trim() && file[name]?.trim()) process.env[name] = file[name];
  }
  return env;
}

function readEnvFile(path: string): Record<string, string | undefined> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    const message = `cannot be read (${(error as NodeJS.ErrnoException).code ?? (error as Error).name}); make it readable or remove it`;
    throw new ConfigError([{ variable: ".env", message }]);
  }
  // Editors on Windows begin a file with a mark that parseEnv takes for part of the first name.
  const plain = text.replace(/^\uFEFF/, "");
  checkLines(plain);
  return parseEnv(plain);
}

const ASSIGNMENT = /^\s*(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=\s*(.*)$/;

/** `parseEnv` drops what it does not understand, and keeps half of a quote: both would be found out much later. */
function checkLines(text: string): void {
  const problems: { variable: string; message: string }[] = [];
  const lines = text.split(/\r?\n/);
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (/^\s*(?:#.*)?$/.test(line)) continue;
    const variable = `.env line ${at + 1}`;
    const value = ASSIGNMENT.exec(line)?.[1];
    if (value === undefined) {
      problems.push({ variable, message: "expected NAME=value, a comment that begins with #, or nothing" });
      continue;
    }
    const quote = /^["'`]/.exec(value)?.[0];
    if (quote === undefined) continue;
    const close = value.indexOf(quote, 1);
    if (close > 0) {
      const rest = value.slice(close + 1);
      if (!/^\s*(?:#.*)?$/.test(rest))
        problems.push({ variable, message: `something follows the closing quote ${quote}` });
      continue;
    }
    const end = lines.findIndex((later, index) => index > at && later.includes(quote));
    // A line that is itself NAME="value" closes nothing: it is the next variable, and the quote was forgotten.
    const isForgotten = end < 0 || ASSIGNMENT.exec(lines[end] ?? "")?.[1]?.startsWith(quote);
    if (isForgotten) problems.push({ variable, message: `a quote ${quote} is opened and never closed` });
    else at = end;
  }
  if (problems.length > 0) throw new ConfigError(problems);
}
