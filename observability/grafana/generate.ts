import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { argv, exit, stderr } from "node:process";
import { fileURLToPath } from "node:url";
import type { DashboardBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { breaker } from "./breaker.ts";
import { fleet } from "./fleet.ts";
import { runbook, runbookNames } from "./runbooks.ts";
import { scripts } from "./scripts.ts";

// Writes the dashboards, or with --check fails when those that are committed differ:
//   node observability/grafana/generate.ts [--check]

const FOLDER = fileURLToPath(new URL("dashboards/", import.meta.url));
const COMMAND = "node observability/grafana/generate.ts";

/** Every dashboard by its path under dashboards/; Grafana makes folders of folders. */
function generate(): Map<string, string> {
  const dashboards = [
    ["Breakwater/fleet.json", fleet()] as const,
    ["Breakwater/breaker.json", breaker()] as const,
    ["Breakwater/scripts.json", scripts()] as const,
    ...runbookNames().map((name) => [`Breakwater runbooks/${name}.json`, runbook(name)] as const),
  ];
  return new Map(dashboards.map(([path, builder]) => [path, toJson(builder)]));
}

function toJson(builder: DashboardBuilder): string {
  const dashboard = builder.build();
  // Links to a panel go by its number, which would otherwise be drawn anew at each start of Grafana.
  const panels = dashboard.panels?.map((panel, index) => ({ id: index + 1, ...panel }));
  return `${JSON.stringify({ ...dashboard, panels }, null, 2)}\n`;
}

function committed(): Map<string, string> {
  const paths = readdirSync(FOLDER, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".json"));
  return new Map(paths.map((path) => [path, readFileSync(join(FOLDER, path), "utf8")]));
}

mkdirSync(FOLDER, { recursive: true });
const [wanted, present] = [generate(), committed()];
const stale = [...new Set([...wanted.keys(), ...present.keys()])].filter(
  (path) => wanted.get(path) !== present.get(path),
);

if (argv.includes("--check")) {
  if (stale.length > 0) {
    stderr.write(
      `Cannot accept the dashboards: ${stale.join(", ")} differ from what their source makes; run ${COMMAND}\n`,
    );
    exit(1);
  }
} else {
  for (const path of stale) {
    const json = wanted.get(path);
    const file = join(FOLDER, path);
    mkdirSync(dirname(file), { recursive: true });
    if (json === undefined) rmSync(file);
    else writeFileSync(file, json);
  }
  stderr.write(`${wanted.size} dashboards, ${stale.length} of them changed\n`);
}
