import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { ROOT } from "./programs.ts";

/** A rule as it is written in a rules file. */
export interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A panel with the queries that it shows. */
export interface Panel {
  readonly id: number;
  readonly title: string;
  readonly targets: readonly { refId: string; expr: string }[];
}

/** A committed dashboard. */
export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** Text of a file of the toolkit. */
export function readText(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Content of a YAML file of the toolkit. */
export function readYaml<T>(path: string): T {
  return parse(readText(path), { merge: true }) as T;
}

/** Groups of the committed rules file. */
export function readRuleGroups(): { name: string; interval?: string; rules: Rule[] }[] {
  return readYaml<{ groups: ReturnType<typeof readRuleGroups> }>("observability/prometheus/breakwater.rules.yml")
    .groups;
}

/** Rules of the committed rules file that raise an alert. */
export function readAlerts(): (Rule & { alert: string })[] {
  return readRuleGroups()
    .flatMap(({ rules }) => rules)
    .filter((rule): rule is Rule & { alert: string } => rule.alert !== undefined);
}

/** Committed dashboards, by their path. */
export function readDashboards(): Map<string, Dashboard> {
  const folder = "observability/grafana/dashboards";
  const paths = readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" });
  return new Map(
    paths
      .filter((path) => path.endsWith(".json"))
      .map((path) => {
        const dashboard = JSON.parse(readText(join(folder, path))) as Dashboard;
        return [
          path,
          { ...dashboard, panels: dashboard.panels.map((panel) => ({ ...panel, targets: panel.targets ?? [] })) },
        ];
      }),
  );
}
