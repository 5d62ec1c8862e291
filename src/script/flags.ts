import { parseArgs } from "node:util";
import { UsageError } from "../errors.ts";

/** A flag of a script. */
export interface Flag {
  readonly type: "boolean" | "string";
  readonly short?: string;
  readonly description: string;
  /** What stands for the value in the help, such as `2h`. */
  readonly placeholder?: string;
  readonly default?: string;
  readonly multiple?: boolean;
}

export type Flags = Readonly<Record<string, Flag>>;

/** Values of the flags, and what stands beside them. */
export type Args<F extends Flags = Flags> = {
  readonly [Name in keyof F]?: F[Name]["type"] extends "boolean"
    ? boolean
    : F[Name]["multiple"] extends true
      ? readonly string[]
      : string;
} & { readonly positionals: readonly string[] };

/** What of a script its command line needs. */
export interface CommandLine {
  readonly name: string;
  readonly description: string;
  readonly options?: Flags | undefined;
  /** Names of the words beside the flags, for the help, such as `<command> [name]`; none are allowed without it. */
  readonly positionals?: string | undefined;
}

const COMMON = {
  json: { type: "boolean", description: "Print one JSON document on stdout and nothing else there" },
  quiet: { type: "boolean", short: "q", description: "Print only results, warnings and errors" },
  help: { type: "boolean", short: "h", description: "Print this help" },
} as const satisfies Flags;

/** What every script's command line has. */
export type ParsedFlags = Record<string, unknown> & {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly help: boolean;
  readonly positionals: readonly string[];
};

/** @throws {UsageError} for a flag or a word that the script does not have. */
export function parseFlags(script: CommandLine, argv: readonly string[]): ParsedFlags {
  const options: Flags = { ...script.options, ...COMMON };
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: Object.fromEntries(
        Object.entries(options).map(([name, { type, short, multiple, ...flag }]: [string, Flag]) => [
          name,
          {
            type,
            ...(short && { short }),
            ...(multiple && { multiple }),
            ...(flag.default !== undefined && { default: flag.default }),
          },
        ]),
      ),
      allowPositionals: script.positionals !== undefined,
    });
    return { json: false, quiet: false, help: false, ...values, positionals } as unknown as ParsedFlags;
  } catch (error) {
    // A value may be a secret in the wrong place, and parseArgs quotes some.
    const { code } = error as { code?: string };
    const flag = /'(--?[a-z][a-z-]*)(?:[ =<,'])/i.exec((error as Error).message)?.[1];
    const why =
      code === "ERR_PARSE_ARGS_UNKNOWN_OPTION"
        ? `there is no flag ${flag ?? "of that name"}`
        : code === "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL"
          ? "it takes no arguments besides flags"
          : `${flag ?? "a flag"} ${flag && options[flag.replace(/^-+/, "")]?.type === "boolean" ? "takes no value" : "needs a value"}`;
    throw new UsageError(`Cannot run ${script.name}: ${why}; see npm run ${script.name} -- --help`);
  }
}

/** The help of a script, of its usage, description and flags. */
export function describeFlags(script: CommandLine): string {
  const rows = Object.entries({ ...script.options, ...COMMON }).map(([name, flag]: [string, Flag]) => {
    const value = flag.type === "string" ? ` ${flag.placeholder ?? "VALUE"}` : "";
    const preset = flag.default === undefined ? "" : ` (default ${flag.default})`;
    return [`${flag.short ? `-${flag.short}, ` : "    "}--${name}${value}`, `${flag.description}${preset}`] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  const words = script.positionals ? ` ${script.positionals}` : "";
  return [
    script.description,
    "",
    `Usage: npm run ${script.name} --${words} [flags]`,
    "",
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
    "",
  ].join("\n");
}

const DURATION_UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of a duration such as `90s`, `15m`, `2h` or `1.5d`. @throws {UsageError} */
export function parseDuration(flag: string, text: string): number {
  const match = /^(\d{1,6}(?:\.\d{1,3})?)\s*([smhd])$/.exec(text.trim());
  if (!match) throw new UsageError(`Cannot use --${flag}: expected a duration such as 90s, 15m, 2h or 1d`);
  return Math.round(Number(match[1]) * DURATION_UNIT_MS[match[2] as keyof typeof DURATION_UNIT_MS]);
}
