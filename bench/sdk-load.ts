import { spawnSync } from "node:child_process";
import process from "node:process";
import { interleave, type Spread } from "./stats.ts";

const PARTS = [
  "@opentelemetry/sdk-trace",
  "@opentelemetry/sdk-metrics",
  "@opentelemetry/sdk-logs",
  "@opentelemetry/resources",
  "@opentelemetry/exporter-trace-otlp-proto",
  "@opentelemetry/exporter-metrics-otlp-proto",
  "@opentelemetry/exporter-logs-otlp-proto",
];

/** Wall time of a process that imports nothing, the SDK's parts, or NodeSDK; what decision 2 rests on. */
export function measureSdkLoad(rounds: number): Promise<Record<string, Spread>> {
  const run = (packages: readonly string[]) => async () => {
    const code = packages.map((name) => `import ${JSON.stringify(name)};`).join("");
    const startMs = performance.now();
    const { status } = spawnSync(process.execPath, ["--input-type=module", "--eval", code]);
    if (status !== 0) throw new Error(`Cannot measure the import of ${packages.join(", ")}: exit code ${status}`);
    return performance.now() - startMs;
  };
  return interleave(rounds, { nothing: run([]), parts: run(PARTS), NodeSDK: run(["@opentelemetry/sdk-node"]) });
}
