import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Daemon, freePorts, startDaemon } from "./daemon.ts";
import { ROOT, requireProgram } from "./programs.ts";

/** A running collector with the toolkit's own configuration, on free ports. */
export interface Collector extends Daemon {
  /** Base URL for OTLP over HTTP, as in OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly otlpUrl: string;
  /** What the senders' metrics are read from, `host:port`. */
  readonly metricsTarget: string;
  /** What the collector's own metrics are read from, `host:port`. */
  readonly ownMetricsTarget: string;
  /** Starts again on the same ports after `stop`; what was only in memory is gone. */
  readonly restart: () => Promise<void>;
}

/** Where the collector keeps its files, and what it is told by its environment. */
export interface CollectorOptions {
  readonly folder: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Further configuration files, merged over otel-collector.yaml. */
  readonly configs?: readonly string[];
}

/** Starts the collector with otel-collector.yaml; only ports and folders differ from what a user runs. */
export async function startCollector({ folder, env = {}, configs = [] }: CollectorOptions): Promise<Collector> {
  const [grpc, http, metrics, own, health] = (await freePorts(5)) as [number, number, number, number, number];
  const overrides = join(folder, "collector-test.yaml");
  writeFileSync(
    overrides,
    JSON.stringify({
      receivers: {
        otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` }, http: { endpoint: `127.0.0.1:${http}` } } },
      },
      exporters: { prometheus: { endpoint: `127.0.0.1:${metrics}` } },
      extensions: { health_check: { endpoint: `127.0.0.1:${health}` } },
      service: {
        telemetry: {
          metrics: { readers: [{ pull: { exporter: { prometheus: { host: "127.0.0.1", port: own } } } }] },
        },
      },
    }),
  );
  const start = () =>
    startDaemon({
      command: requireProgram("otelcol"),
      args: [join(ROOT, "otel-collector.yaml"), ...configs, overrides].flatMap((config) => ["--config", config]),
      readyUrl: `http://127.0.0.1:${health}/`,
      cwd: folder,
      env: { OTELCOL_STORAGE_DIR: join(folder, "collector-storage"), ...env },
    });
  let daemon = await start();
  let earlierLog = "";
  return {
    otlpUrl: `http://127.0.0.1:${http}`,
    metricsTarget: `127.0.0.1:${metrics}`,
    ownMetricsTarget: `127.0.0.1:${own}`,
    log: () => earlierLog + daemon.log(),
    stop: () => daemon.stop(),
    restart: async () => {
      earlierLog += daemon.log();
      daemon = await start();
    },
  };
}

/** Text of a Prometheus end point. */
export async function readMetrics(target: string): Promise<string> {
  const response = await fetch(`http://${target}/metrics`);
  if (!response.ok) throw new Error(`Cannot read metrics of ${target}: status ${response.status}`);
  return response.text();
}
