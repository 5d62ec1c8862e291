import { readdirSync, readFileSync } from "node:fs";
import type { DashboardBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { DashboardBuilder as Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { PanelBuilder as TextBuilder, TextMode } from "@grafana/grafana-foundation-sdk/text";

const FOLDER = new URL("../runbooks/", import.meta.url);

/** Names of the alerts that have a page. */
export function runbookNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(".md") && file !== "README.md")
    .map((file) => file.slice(0, -".md".length))
    .sort();
}

/** A page as a dashboard, so that the link in an alert leads to it wherever Grafana is, its repository out of reach. */
export function runbook(name: string): DashboardBuilder {
  const text = new TextBuilder()
    .title("")
    .transparent(true)
    .mode(TextMode.Markdown)
    .content(readFileSync(new URL(`${name}.md`, FOLDER), "utf8"))
    .height(24)
    .span(24);
  return new Dashboard(name).uid(name).tags(["breakwater-runbook"]).withPanel(text);
}
