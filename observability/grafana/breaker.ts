import type { DashboardBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { prometheusName } from "../prometheus/names.ts";
import { bars, choice, dashboard, graph, query, stat, timeline } from "./panels.ts";
import { ENVIRONMENT, growth, LABEL, ONE_BREAKER, quantile, select, series, stateCode } from "./queries.ts";

/** Names and colours of the states, by the numbers of `stateCode`. */
export const STATES = {
  0: ["closed", "green"],
  1: ["half-open", "yellow"],
  2: ["open", "red"],
  3: ["isolated", "purple"],
} as const;

const host = `{{${LABEL.hostName}}}`;
const routeLegend = `{{${LABEL.requestMethod}}} {{${LABEL.urlTemplate}}}`;

/** What happened to one circuit, and what its dependency did meanwhile. */
export function breaker(): DashboardBuilder {
  const state = prometheusName("circuit_breaker.state");
  const route = [LABEL.requestMethod, LABEL.urlTemplate];
  const server = { ...ENVIRONMENT, [LABEL.serverAddress]: "server" };
  const openDuration = (q: number) => quantile(q, "circuit_breaker.open.duration", ONE_BREAKER, [], "$__range");
  return dashboard("breakwater-breaker", "Breakwater / One breaker", "State, calls and requests of one circuit breaker")
    .withVariable(choice("environment", "deployment_environment_name", state))
    .withVariable(choice("breaker", LABEL.breakerName, state))
    .withVariable(choice("server", LABEL.serverAddress, state))
    .withPanel(
      stat(
        "Last opened",
        "Time since the circuit last opened; empty when it did not within two hours",
        ["red", [3600, "green"]],
        query(select("breakwater:circuit_breaker_last_opened:age_seconds", ONE_BREAKER), host, { instant: true }),
      ).unit("s"),
    )
    .withPanel(
      stat(
        "Openings",
        "How often the circuit opened in the time shown",
        ["green", [1, "orange"]],
        query(
          `sum(${growth(series("circuit_breaker.transitions", ONE_BREAKER, { more: `${LABEL.breakerTo}="open"` }), "$__range")})`,
          "",
          { instant: true },
        ),
      ).decimals(0),
    )
    .withPanel(
      stat(
        "Time open",
        "Half of the outages, and 19 of 20, were shorter than this",
        ["green", [300, "orange"], [1800, "red"]],
        query(openDuration(0.5), "half", { instant: true }),
        query(openDuration(0.95), "19 of 20", { instant: true }),
      ).unit("s"),
    )
    .withPanel(
      stat(
        "Budget left",
        "Requests that could still start within a minute, at the last report",
        ["red", [20, "green"]],
        query(series("alpaca.budget.remaining", ONE_BREAKER), host, { instant: true }),
      ),
    )
    .withPanel(
      timeline(
        "State",
        "State of the circuit",
        STATES,
        query(stateCode(ONE_BREAKER), `{{${LABEL.breakerName}}} {{${LABEL.serverAddress}}} ${host}`),
      ).height(6),
    )
    .withPanel(
      bars(
        "State changes",
        "From which state to which, and why",
        query(
          `sum by (${LABEL.breakerFrom}, ${LABEL.breakerTo}, ${LABEL.breakerReason}) (${growth(series("circuit_breaker.transitions", ONE_BREAKER), "$__interval")})`,
          `{{${LABEL.breakerFrom}}} to {{${LABEL.breakerTo}}}: {{${LABEL.breakerReason}}}`,
        ),
      ),
    )
    .withPanel(
      bars(
        "Calls",
        "Calls that the circuit decided on, by outcome, over ten minutes",
        query(
          `sum by (${LABEL.breakerOutcome}) (${select("breakwater:circuit_breaker_calls:increase10m", ONE_BREAKER)})`,
          `{{${LABEL.breakerOutcome}}}`,
        ),
      ),
    )
    .withPanel(
      graph(
        "Request latency",
        "19 of 20 requests of a route took less than this",
        "s",
        query(quantile(0.95, "http.client.request.duration", server, route, "$__rate_interval"), routeLegend),
      ),
    )
    .withPanel(
      bars(
        "Requests",
        "Requests by status and error",
        query(
          `sum by (${LABEL.responseStatusCode}, ${LABEL.errorType}) (${growth(series("http.client.request.duration", server, { part: "_count" }), "$__interval")})`,
          `{{${LABEL.responseStatusCode}}} {{${LABEL.errorType}}}`,
        ),
      ),
    )
    .withPanel(
      graph(
        "Budget",
        "Requests that could still start within a minute; scripts wait for each other near 0",
        "short",
        query(series("alpaca.budget.remaining", ONE_BREAKER), `{{${LABEL.breakerName}}} ${host}`),
      ),
    );
}
