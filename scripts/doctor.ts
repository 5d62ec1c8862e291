import type { ConfigWarning } from "../src/config/config.ts";
import { EXIT, exitCodeOf, JobError } from "../src/errors.ts";
import type { Check } from "../src/script/checks.ts";
import { runScript } from "../src/script/run-script.ts";

interface Diagnosis {
  readonly config: Readonly<Record<string, string>>;
  readonly warnings: readonly ConfigWarning[];
  readonly checks: readonly Omit<Check, "error">[];
}

const MARK = {
  ok: ["green", "ok"],
  warning: ["yellow", "warning"],
  failed: ["red", "failed"],
  skipped: ["dim", "skipped"],
} as const;

await runScript({
  name: "doctor",
  description: "Checks the set-up: configuration, Alpaca's hosts, credentials, this machine's clock, the collector.",
  alpaca: "optional",
  options: {
    offline: { type: "boolean", description: "Look at the configuration only, and make no request" },
    strict: { type: "boolean", description: "End with 78 when there is any warning" },
  },
  offline: ({ offline }) => offline === true,
  run: async ({ config, warnings, alpaca, args, signal, progress, fail }): Promise<Diagnosis> => {
    const { describeConfig } = await import("../src/config/describe.ts");
    const { checkAlpaca } = await import("../src/script/checks.ts");
    const { checkCollector } = await import("../src/script/doctor-collector.ts");
    const checks: Check[] = [];
    if (args.offline) {
      checks.push(
        { name: "Alpaca", status: "skipped", detail: "--offline" },
        { name: "collector", status: "skipped", detail: "--offline" },
      );
    } else {
      const onCheck = (name: string) => progress(`checking the ${name} …`);
      if (config.alpaca.enabled) checks.push(...(await checkAlpaca({ alpaca, config, signal, onCheck })));
      else checks.push({ name: "Alpaca", status: "skipped", detail: "no request is made while it is disabled" });
      onCheck("collector");
      checks.push(...(await checkCollector(config.telemetry, signal)));
    }
    const errors = checks.flatMap(({ error }) => error ?? []);
    const odd = warnings.length + checks.filter(({ status }) => status === "warning").length;
    const unhealthy = (why: string, exitCode: ReturnType<typeof exitCodeOf>) => fail(new JobError(`${why}`, exitCode));
    if (errors.length > 0) {
      unhealthy(
        `${errors.length} of ${checks.length} checks failed, see above`,
        exitCodeOf(new AggregateError(errors)),
      );
    }
    if (args.strict && odd > 0) {
      const count = odd === 1 ? "there is 1 warning" : `there are ${odd} warnings`;
      unhealthy(`${count}, and --strict allows none`, EXIT.configuration);
    }
    return { config: describeConfig(config), warnings, checks: checks.map(({ error: _, ...shown }) => shown) };
  },
  render: ({ config, warnings, checks }: Diagnosis, { style, facts }) => {
    const mark = (status: Check["status"]) => style(MARK[status][0], MARK[status][1].padEnd(7));
    const width = Math.max(...checks.map(({ name }) => name.length));
    const describe = ({ name, status, detail, remedy, latencyMs }: Omit<Check, "error">) => {
      const took = latencyMs === undefined ? "" : style("dim", ` (${latencyMs} ms)`);
      const line = `${mark(status)}  ${name.padEnd(width)}  ${detail}${took}`;
      return remedy === undefined ? [line] : [line, `${" ".repeat(width + 11)}${style("bold", `-> ${remedy}`)}`];
    };
    return [
      style("bold", "Configuration"),
      facts(Object.entries(config)),
      ...(warnings.length === 0 ? [] : ["", style("bold", "Warnings")]),
      ...warnings.map(({ variable, message }) => `${mark("warning")}  ${variable} ${message}`),
      "",
      style("bold", "Checks"),
      ...checks.flatMap(describe),
    ].join("\n");
  },
});
