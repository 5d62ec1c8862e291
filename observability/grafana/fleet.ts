import type { DashboardBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { prometheusName } from "../prometheus/names.ts";
import { STATES } from "./breaker.ts";
import { bars, choice, dashboard, graph, query, stat, timeline } from "./panels.ts";
import { ENVIRONMENT, growth, LABEL, select, series, stateCode } from "./queries.ts";

const breakerLegend = `{{${LABEL.breakerName}}} {{${LABEL.serverAddress}}} {{${LABEL.hostName}}}`;

/** How many series there are, with 0 instead of an empty answer. */
const count = (expr: string) => query(`count(${expr}) or vector(0)`, "", { instant: true });

/** Is anything wrong anywhere? */
export function fleet(): DashboardBuilder {
  const notClosed = series("circuit_breaker.state", ENVIRONMENT, { more: `${LABEL.breakerState}!="closed"` });
  return dashboard("breakwater-fleet", "Breakwater / Fleet", "Every circuit breaker, script and collector at a glance")
    .withVariable(choice("environment", "deployment_environment_name", prometheusName("script.runs")))
    .withPanel(
      stat(
        "Alerts firing",
        "Alerts of breakwater that fire now",
        ["green", [1, "red"]],
        count('ALERTS{alertname=~"Breakwater.+", alertstate="firing"}'),
      ).span(4),
    )
    .withPanel(
      stat(
        "Circuits not closed",
        "Circuits that are open, half-open or isolated",
        ["green", [1, "red"]],
        count(`${notClosed} == 1`),
      ).span(4),
    )
    .withPanel(
      stat(
        "Scripts failing",
        "Scripts whose last run ended with a failure",
        ["green", [1, "orange"]],
        count(`0 < ${series("script.exit_code", ENVIRONMENT)} < 130`),
      ).span(4),
    )
    .withPanel(
      stat(
        "Alpaca switched off",
        "Scripts that ran with Alpaca switched off",
        ["green", [1, "orange"]],
        count(`${series("alpaca.enabled", ENVIRONMENT)} == 0`),
      ).span(4),
    )
    .withPanel(
      stat(
        "Undelivered state changes",
        "State changes that no collector has acknowledged yet",
        ["green", [1, "orange"], [11, "red"]],
        query(`sum(${series("telemetry.outbox.size", ENVIRONMENT)})`, "", { instant: true }),
      ).span(4),
    )
    .withPanel(
      stat(
        "Collector",
        "Whether Prometheus can read the collector: 1 yes, 0 no",
        ["red", [1, "green"]],
        query('min(up{job=~"otelcol|otelcol-internal"})', "", { instant: true }),
      ).span(4),
    )
    .withPanel(
      timeline("Circuits", "State of every circuit breaker", STATES, query(stateCode(ENVIRONMENT), breakerLegend)),
    )
    .withPanel(
      bars(
        "State changes",
        "State changes of all circuits, by the state they led to",
        query(
          `sum by (${LABEL.breakerTo}) (${growth(series("circuit_breaker.transitions", ENVIRONMENT), "$__interval")})`,
          `{{${LABEL.breakerTo}}}`,
        ),
      ),
    )
    .withPanel(
      bars(
        "Calls",
        "Calls that the circuits decided on, by outcome, over ten minutes",
        query(
          `sum by (${LABEL.breakerOutcome}) (${select("breakwater:circuit_breaker_calls:increase10m", ENVIRONMENT)})`,
          `{{${LABEL.breakerOutcome}}}`,
        ),
      ),
    )
    .withPanel(
      graph(
        "State changes that were late or lost",
        "Delivered by a later run, given up, and errors of the store, since the collector started",
        "short",
        query(`sum(${series("telemetry.outbox.replayed", ENVIRONMENT)})`, "delivered by a later run"),
        query(`sum(${series("telemetry.outbox.dropped", ENVIRONMENT)})`, "given up"),
        query(`sum(${series("circuit_breaker.store.errors", ENVIRONMENT)})`, "errors of the store"),
      ),
    )
    .withPanel(
      graph(
        "Collector",
        "Data points that the collector took, and those that it dropped or refused",
        "short",
        query("sum(increase(otelcol_receiver_accepted_metric_points[$__rate_interval]))", "taken"),
        query("sum(breakwater:otelcol_dropped_points:increase15m) or vector(0)", "dropped within 15 minutes"),
      ),
    );
}
