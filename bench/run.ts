import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { RUNTIMES, startServer } from "./processes.ts";
import { measureSdkLoad } from "./sdk-load.ts";
import { measureExitDelay, measureStartUp } from "./start-up.ts";
import type { Spread } from "./stats.ts";

/** Measures every budget of the design, and writes bench/results.md. `npm run bench -- 5` makes it short. */
const rounds = Number(process.argv[2] ?? "25");
if (!Number.isInteger(rounds) || rounds < 1) {
  process.stderr.write("Cannot measure: expected a whole number of rounds, such as npm run bench -- 25\n");
  process.exit(2);
}
const lines: string[] = [];
const say = (line = "") => {
  lines.push(line);
  process.stderr.write(`${line}\n`);
};
const ms = ({ median, low, high }: Spread) => `${median.toFixed(0)} (${low.toFixed(0)}-${high.toFixed(0)})`;
const us = ({ median, low, high }: Spread) => `${median.toFixed(1)} (${low.toFixed(1)}-${high.toFixed(1)})`;
const verdict = (value: number, budget: number) =>
  `${value.toFixed(2)} | ${budget.toFixed(2)} | ${value <= budget ? "met" : "**not met**"}`;

say("# Results");
say();
say(`Measured on ${new Date().toISOString().slice(0, 10)} with \`npm run bench -- ${rounds}\`:`);
say(`${cpus().length} cores (${cpus()[0]?.model.trim()}), Linux ${release()}, node ${process.versions.node}.`);
say(
  `Medians of ${rounds} interleaved rounds, 10th and 90th percentile in brackets. A ratio is the median of those within each round.`,
);
say();
say("## Start-up: a one-call script with telemetry on, against the same call with bare fetch");
say();
say("The API answers after 300 ms. Wall time in ms, warm caches.");
say();
say("| runtime | bare fetch | breakwater | ratio | budget | |");
say("|---|---|---|---|---|---|");
for (const [runtime, { bare, toolkit }] of Object.entries(await measureStartUp(rounds))) {
  say(`| ${runtime} | ${ms(bare)} | ${ms(toolkit)} | ${verdict(toolkit.ratio, 1.25)} |`);
}

interface Calls {
  readonly oneAtATime: Record<string, Spread>;
  readonly sixteen: Record<string, Spread>;
  readonly heavyOneAtATime: Record<string, Spread>;
  readonly heavySixteen: Record<string, Spread>;
  readonly rejected: Spread;
  readonly store: Spread;
}

const server = await startServer("server.ts", "0");
for (const runtime of ["node", "deno"]) {
  const [program = "", ...args] = RUNTIMES[runtime] ?? [];
  const url = `http://127.0.0.1:${server.port}/v2/clock`;
  const { stdout } = await promisify(execFile)(program, [
    ...args,
    join(import.meta.dirname, "calls.ts"),
    url,
    String(rounds),
  ]);
  const calls = JSON.parse(stdout) as Calls;
  say();
  say(`## A call, on ${runtime}`);
  say();
  say("A server on loopback answers 1 KB of JSON at once. Microseconds a call.");
  say();
  for (const [title, results, budget] of [
    ["one at a time", calls.oneAtATime, 1.15],
    ["16 at a time", calls.sixteen, 1.3],
    ["with store and SDK, one at a time", calls.heavyOneAtATime, 1.15],
    ["with store and SDK, 16 at a time", calls.heavySixteen, 1.3],
  ] as const) {
    say(`| ${title} | us | ratio | budget | |`);
    say("|---|---|---|---|---|");
    for (const [name, spread] of Object.entries(results)) {
      const { ratio } = spread;
      say(
        `| ${name} | ${us(spread)} | ${name === "breakwater" ? verdict(ratio, budget) : `${ratio.toFixed(2)} | | `} |`,
      );
    }
    say();
  }
  const rejected = calls.rejected.median;
  const isMet = runtime === "node" ? `, budget 2: ${rejected <= 2 ? "met" : "**not met**"}` : "";
  const { median } = calls.store;
  say(
    `What a healthy call spends in SQLite: ${us(calls.store)} us, budget 50: ${median <= 50 ? "met" : "**not met**"}`,
  );
  say();
  say(`A call that an open circuit rejects: ${us(calls.rejected)} us${isMet}`);
}
server.stop();

say();
say("## Exit delay: what a collector in trouble adds to a script, on node");
say();
say("| collector | wall ms | added | budget | |");
say("|---|---|---|---|---|");
const delays = await measureExitDelay(Math.min(rounds, 10));
const healthy = delays.ok?.median ?? Number.NaN;
for (const [state, spread] of Object.entries(delays)) {
  const added = spread.median - healthy;
  const judged = state === "ok" ? "| | " : `${added.toFixed(0)} | 1600 | ${added <= 1_600 ? "met" : "**not met**"}`;
  say(`| ${state} | ${ms(spread)} | ${judged} |`);
}
say();
say("## Loading OpenTelemetry, on node");
say();
say("| imported | wall ms |");
say("|---|---|");
for (const [what, spread] of Object.entries(await measureSdkLoad(Math.min(rounds, 10))))
  say(`| ${what} | ${ms(spread)} |`);
writeFileSync(join(import.meta.dirname, "results.md"), `${lines.join("\n")}\n`);
