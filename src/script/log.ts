import process from "node:process";
import { styleText } from "node:util";
import type { LogLevel } from "../config/config.ts";

/** Words for a person, on stderr. */
export interface Log {
  debug(text: string): void;
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };
const PREFIX = {
  debug: ["dim", "debug: "],
  info: [null, ""],
  warn: ["yellow", "warning: "],
  error: ["red", "error: "],
} as const;

/** A log from the given level up; colours only where stderr is a terminal that wants them (NO_COLOR). */
export class StderrLog implements Log {
  #level: LogLevel;
  #hasProgress = false;

  constructor(level: LogLevel) {
    this.#level = level;
  }

  setLevel(level: LogLevel): void {
    this.#level = level;
  }

  debug(text: string): void {
    this.#write("debug", text);
  }

  info(text: string): void {
    this.#write("info", text);
  }

  warn(text: string): void {
    this.#write("warn", text);
  }

  error(text: string): void {
    this.#write("error", text);
  }

  /** One line that is written over, on a terminal only; an empty text clears it. */
  progress(text: string): void {
    if (!process.stderr.isTTY || RANK[this.#level] > RANK.info) return;
    if (text === "" && !this.#hasProgress) return;
    this.#hasProgress = text !== "";
    const width = Math.max(20, (process.stderr.columns ?? 80) - 1);
    process.stderr.write(`\r\u001b[2K${text.slice(0, width)}`);
  }

  #write(level: LogLevel, text: string): void {
    if (RANK[level] < RANK[this.#level]) return;
    this.progress("");
    const [colour, prefix] = PREFIX[level];
    const styled = colour === null ? text : styleText(colour, prefix, { stream: process.stderr }) + text;
    process.stderr.write(`${printable(styled)}\n`);
  }
}

/** Without what would steer a terminal, apart from colours: text of others, such as a symbol, is not to be trusted. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (mark, at: number) =>
    mark === "\n" || COLOUR.test(text.slice(at, at + 12)) ? mark : "\ufffd",
  );
}

const COLOUR = new RegExp(`^${String.fromCharCode(27)}\\[[0-9;]*m`);
