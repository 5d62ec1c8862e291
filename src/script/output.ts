import process from "node:process";
import { stripVTControlCharacters, styleText } from "node:util";
import { JobError } from "../errors.ts";

export { printable } from "./log.ts";

/** Writes to stdout and waits until it is out: an exit would cut off what a pipe has not taken yet. */
export function writeResult(text: string): Promise<void> {
  if (text === "") return Promise.resolve();
  return new Promise((resolve, reject) => {
    const end = (error?: Error | null) => {
      const { code } = (error ?? {}) as NodeJS.ErrnoException;
      // A reader that has seen enough, such as `head`, is no failure.
      if (!error || code === "EPIPE") resolve();
      else reject(new JobError(`Cannot write the result to stdout: ${code ?? error.message}`));
    };
    process.stdout.once("error", end);
    process.stdout.write(text.endsWith("\n") ? text : `${text}\n`, end);
  });
}

/** One JSON document; times are ISO 8601, and a bigint is a string. */
export function toJson(value: unknown): string {
  const json = JSON.stringify(value ?? null, (_key, item) => (typeof item === "bigint" ? String(item) : item), 2);
  if (json === undefined) throw new TypeError(`Cannot print the result as JSON: it is a ${typeof value}`);
  return json;
}

export type Style = Parameters<typeof styleText>[0];

/** Styled for stdout: plain where that is no terminal, or NO_COLOR is set. */
export function style(format: Style, text: string): string {
  return styleText(format, text, { stream: process.stdout });
}

/** Columns with a heading; numbers, and what looks like one, stand on the right. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, at) =>
    Math.max(heading.length, ...rows.map((row) => visibleLength(row[at] ?? ""))),
  );
  const isNumeric = headings.map(
    (_, at) =>
      rows.length > 0 &&
      rows.every((row) => /^[-+$]?[\d,.]+[%a-z]?$|^-?$/.test(stripVTControlCharacters(row[at] ?? ""))),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell) => cell.replaceAll("\n", "\ufffd"))
      .map((cell, at) => {
        const padding = " ".repeat(Math.max(0, (widths[at] ?? 0) - visibleLength(cell)));
        return isNumeric[at] ? padding + cell : cell + padding;
      })
      .join("  ")
      .trimEnd();
  return [style("dim", line(headings)), ...rows.map(line)].join("\n");
}

/** Names and values, one a line. */
export function facts(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${style("dim", name.padEnd(width))}  ${value}`).join("\n");
}

/** What a script's result looks like when the script does not say. */
export function render(result: unknown): string {
  if (result === undefined || result === null) return "";
  if (typeof result !== "object") return String(result);
  if (Array.isArray(result)) {
    if (!result.every((item) => item !== null && typeof item === "object")) return result.map(cell).join("\n");
    const headings = [...new Set(result.flatMap((item) => Object.keys(item)))];
    return result.length === 0
      ? "none"
      : table(
          headings,
          result.map((item) => headings.map((name) => cell(item[name]))),
        );
  }
  return facts(Object.entries(result).map(([name, value]) => [name, cell(value)]));
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (value instanceof Date) return value.toISOString();
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function visibleLength(text: string): number {
  return stripVTControlCharacters(text).length;
}
