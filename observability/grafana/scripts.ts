import type { DashboardBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { prometheusName } from "../prometheus/names.ts";
import { bars, choice, dashboard, graph, query, stat, timeline } from "./panels.ts";
import { growth, LABEL, quantile, SCRIPTS, select, series } from "./queries.ts";

const legend = `{{${LABEL.scriptName}}} {{${LABEL.hostName}}}`;

/** Exit codes of the toolkit, by what they mean. */
const EXIT_CODES = {
  0: ["0 done", "green"],
  1: ["1 failed", "red"],
  2: ["2 usage", "orange"],
  69: ["69 unavailable", "red"],
  75: ["75 throttled", "orange"],
  77: ["77 credentials", "red"],
  78: ["78 configuration", "orange"],
  130: ["130 interrupted", "blue"],
  143: ["143 terminated", "blue"],
} as const;

/** Do the scripts run, and do they end well? */
export function scripts(): DashboardBuilder {
  const runs = prometheusName("script.runs");
  return dashboard("breakwater-scripts", "Breakwater / Scripts", "Runs, exit codes and durations of the scripts")
    .withVariable(choice("environment", "deployment_environment_name", runs))
    .withVariable(choice("script", LABEL.scriptName, runs))
    .withVariable(choice("host", LABEL.hostName, runs))
    .withPanel(
      stat(
        "Last success",
        "Time since a script last ended well",
        ["green", [26 * 3600, "orange"]],
        query(select("breakwater:script_last_success:age_seconds", SCRIPTS), legend, { instant: true }),
      )
        .unit("s")
        .span(12),
    )
    .withPanel(
      stat(
        "Alpaca",
        "Whether Alpaca is switched on for a script: 1 yes, 0 no",
        ["orange", [1, "green"]],
        query(series("alpaca.enabled", SCRIPTS), `${legend} {{${LABEL.alpacaEnvironment}}}`, { instant: true }),
      ).span(6),
    )
    .withPanel(
      stat(
        "Configuration warnings",
        "Warnings at the start of a script's last run",
        ["green", [1, "orange"]],
        query(series("config.warnings", SCRIPTS), legend, { instant: true }),
      ).span(6),
    )
    .withPanel(
      timeline(
        "Exit codes",
        "Exit code of the last run at each time",
        EXIT_CODES,
        query(series("script.exit_code", SCRIPTS), legend),
      ),
    )
    .withPanel(
      bars(
        "Runs",
        "Runs by outcome",
        query(
          `sum by (${LABEL.scriptName}, ${LABEL.scriptOutcome}) (${growth(series("script.runs", SCRIPTS), "$__interval")})`,
          `{{${LABEL.scriptName}}} {{${LABEL.scriptOutcome}}}`,
        ),
      ),
    )
    .withPanel(
      graph(
        "Duration",
        "19 of 20 runs of a script took less than this",
        "s",
        query(
          quantile(0.95, "script.duration", SCRIPTS, [LABEL.scriptName], "$__rate_interval"),
          `{{${LABEL.scriptName}}}`,
        ),
      ),
    );
}
