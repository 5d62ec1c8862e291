import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { ALIASES, VARIABLE_NAMES } from "../src/config/variables.ts";

const ROOT = join(import.meta.dirname, "..");

interface Task {
  readonly name: string;
  readonly words: readonly string[];
}

const { tasks } = readJson("deno.json");
const TASKS: readonly Task[] = Object.entries<{ command: string } | string>(tasks).flatMap(([name, task]) =>
  typeof task === "string" ? [] : [{ name, words: task.command.split(" ") }],
);
/** Tasks that may call Alpaca's own hosts. */
const JOBS = TASKS.filter(({ name }) => !["start", "drill", "simulator"].includes(name));
/** What a terminal and a caller say of themselves. */
const ENVIRONMENT = ["FORCE_COLOR", "NO_COLOR", "OTEL_*", "TERM", "TRACEPARENT"];

function readJson(path: string) {
  return JSON.parse(readFileSync(join(ROOT, path), "utf8"));
}

function listOf({ name, words }: Task, flag: string): string[] {
  const [found, ...others] = words.filter((word) => word.startsWith(`${flag}=`));
  assert.deepEqual(others, [], `${name} has ${flag} twice`);
  return found === undefined ? [] : found.slice(flag.length + 1).split(",");
}

test("every script is a task, and runs the same file as the npm script of that name", () => {
  const { scripts } = readJson("package.json");
  const files = globSync("scripts/*.ts", { cwd: ROOT }).map((path) => basename(path, ".ts"));
  for (const file of files)
    assert.ok(
      TASKS.some(({ name }) => name === file),
      `there is no task ${file}`,
    );
  for (const { name, words } of TASKS) {
    if (scripts[name] !== undefined) assert.equal(scripts[name], `node ${words.at(-1)}`);
  }
});

test("no task has a permission without bounds, or asks for one", () => {
  for (const { name, words } of TASKS) {
    assert.deepEqual(
      words.filter((word) => /^(?:-A|--allow-(?:all|[a-z]+)|-[RWENSI])$/.test(word)),
      [],
      name,
    );
    assert.ok(words.includes("--no-prompt"), name);
    assert.ok(words.includes("--ignore-env"), name);
    const flags = words.filter((word) => word.startsWith("--allow-")).map((word) => word.split("=")[0]);
    const writing = JOBS.some((job) => job.name === name) ? ["--allow-write"] : [];
    assert.deepEqual(flags.sort(), ["--allow-env", "--allow-net", "--allow-read", "--allow-sys", ...writing], name);
    for (const flag of flags) assert.ok(!listOf({ name, words }, flag ?? "").some((item) => ["", "*"].includes(item)));
  }
});

test("a job may read the variables of the schema and no others", () => {
  const schema = [...VARIABLE_NAMES, ...Object.values(ALIASES).flat()].filter((name) => !name.startsWith("OTEL_"));
  for (const job of JOBS) {
    assert.deepEqual(listOf(job, "--allow-env").sort(), [...schema, ...ENVIRONMENT].sort(), job.name);
  }
});

test("what needs no account may read no credentials, and reaches loopback only", () => {
  for (const task of TASKS.filter((one) => !JOBS.includes(one))) {
    assert.deepEqual(
      listOf(task, "--allow-env").filter((name) => !ENVIRONMENT.includes(name)),
      ["ALPACA_ENABLED", "LOG_LEVEL"],
      task.name,
    );
    assert.deepEqual(listOf(task, "--allow-net"), ["localhost", "127.0.0.1", "[::1]"], task.name);
  }
});

test("a job reaches Alpaca's hosts and loopback, reads .env and .breakwater, and writes the latter", () => {
  for (const job of JOBS) {
    assert.deepEqual(
      listOf(job, "--allow-net"),
      [
        "paper-api.alpaca.markets:443",
        "api.alpaca.markets:443",
        "data.alpaca.markets:443",
        "localhost",
        "127.0.0.1",
        "[::1]",
      ],
      job.name,
    );
    assert.deepEqual(listOf(job, "--allow-read"), [".env", ".breakwater"], job.name);
    assert.deepEqual(listOf(job, "--allow-write"), [".breakwater"], job.name);
  }
});
