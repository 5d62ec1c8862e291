import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The toolkit's own folder, with a slash at its end. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Names under which a program may be installed: upstream's own first, then Debian's. */
const EXECUTABLES = {
  alertmanager: ["alertmanager", "prometheus-alertmanager"],
  amtool: ["amtool"],
  openssl: ["openssl"],
  prometheus: ["prometheus"],
  promtool: ["promtool"],
} as const;

/** A program that the toolkit does not bring along. */
export type ProgramName = keyof typeof EXECUTABLES | "otelcol";

const INSTALL = "run observability/install-test-programs.sh";

/**
 * For the `skip` option of a test: which of the programs are missing, or false when all are there. With
 * BREAKWATER_REQUIRE_ALL=1 it is always false, so that the test runs and `requireProgram` fails it.
 */
export function skipWithout(...names: ProgramName[]): string | false {
  if (process.env.BREAKWATER_REQUIRE_ALL === "1") return false;
  const missing = names.filter((name) => findProgram(name) === undefined);
  return missing.length > 0 && `missing: ${missing.join(", ")}; ${INSTALL}`;
}

/** Path of the program; throws when it is missing. */
export function requireProgram(name: ProgramName): string {
  const path = findProgram(name);
  if (path === undefined) throw new Error(`Cannot run ${name}: it is not installed; ${INSTALL}`);
  return path;
}

/** What a program that ends by itself printed, and its exit code; stopped after 60 s. */
export function runProgram(
  name: ProgramName,
  args: readonly string[],
  { cwd = ROOT, env = process.env }: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): { status: number | null; output: string } {
  const { status, stdout, stderr, error } = spawnSync(requireProgram(name), args, {
    cwd,
    env,
    encoding: "utf8",
    timeout: 60_000,
  });
  if (error !== undefined) throw new Error(`Cannot run ${name} ${args.join(" ")}: ${error.message}`, { cause: error });
  return { status, output: stdout + stderr };
}

const found = new Map<ProgramName, string | undefined>();

function findProgram(name: ProgramName): string | undefined {
  if (!found.has(name)) found.set(name, name === "otelcol" ? findCollector() : findInPath(EXECUTABLES[name]));
  return found.get(name);
}

function findInPath(executables: readonly string[]): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return executables.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

function findCollector(): string | undefined {
  const { status, stdout } = spawnSync("sh", [join(ROOT, "observability/collector/build.sh"), "--no-build"], {
    encoding: "utf8",
    timeout: 10_000,
  });
  return status === 0 ? stdout.trim() : undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
