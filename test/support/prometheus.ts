import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Collector } from "./collector.ts";
import { type Daemon, freePorts, startDaemon } from "./daemon.ts";
import { poll } from "./poll.ts";
import { ROOT, requireProgram } from "./programs.ts";
import { substitute } from "./template.ts";

/** One series of an answer, with its value at the time of the question. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A running Prometheus with the toolkit's own configuration and rules, on a free port. */
export interface Prometheus extends Daemon {
  readonly url: string;
  /** Answers of an instant query; throws with Prometheus's own words when it does not like the query. */
  readonly query: (expression: string) => Promise<Sample[]>;
}

/** What Prometheus scrapes and tells, and what of the committed rules is different in this test. */
export interface PrometheusOptions {
  readonly folder: string;
  readonly collector: Collector;
  /** `host:port` */
  readonly alertmanagerTarget: string;
  /** Pieces of the committed rules and what replaces them: shorter windows, for example. */
  readonly rules?: Readonly<Record<string, string>>;
}

const FOLDER = join(ROOT, "observability/prometheus");

/** Starts Prometheus with a copy of the committed files; it scrapes and evaluates every second. */
export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const { folder, collector, alertmanagerTarget, rules = {} } = options;
  const [port] = (await freePorts(1)) as [number];
  const config = join(folder, "prometheus.yml");
  writeFileSync(
    config,
    substitute(readFileSync(join(FOLDER, "prometheus.yml"), "utf8"), {
      "15s": "1s",
      "127.0.0.1:8889": collector.metricsTarget,
      "127.0.0.1:8888": collector.ownMetricsTarget,
      "127.0.0.1:9093": alertmanagerTarget,
    }),
  );
  const committed = readFileSync(join(FOLDER, "breakwater.rules.yml"), "utf8");
  writeFileSync(join(folder, "breakwater.rules.yml"), substitute(committed, rules));
  const url = `http://127.0.0.1:${port}`;
  const daemon = await startDaemon({
    command: requireProgram("prometheus"),
    args: [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, "prometheus-data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    readyUrl: `${url}/-/ready`,
    cwd: folder,
  });
  try {
    await poll("Prometheus to find its targets", () => hasFoundTargets(url));
  } catch (error) {
    await daemon.stop();
    throw error;
  }
  return { ...daemon, url, query: (expression) => query(url, expression) };
}

/** "Ready" comes some seconds before the discovery of targets: until then alerts go to nobody. */
async function hasFoundTargets(url: string): Promise<boolean> {
  const response = await fetch(`${url}/api/v1/alertmanagers`);
  const { data } = (await response.json()) as { data: { activeAlertmanagers: unknown[] } };
  return data.activeAlertmanagers.length > 0 && (await query(url, "up == 1")).length === 2;
}

async function query(url: string, expression: string): Promise<Sample[]> {
  const response = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query: expression })}`);
  const answer = (await response.json()) as {
    status: string;
    error?: string;
    data?: { resultType: string; result: { metric: Record<string, string>; value: [number, string] }[] };
  };
  if (answer.data?.resultType !== "vector") {
    throw new Error(`Cannot query ${expression}: ${answer.error ?? `the answer is a ${answer.data?.resultType}`}`);
  }
  return answer.data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
}
