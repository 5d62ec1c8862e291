import { RUNTIMES, startServer, timeRun } from "./processes.ts";
import { interleave, type Spread } from "./stats.ts";

const API_MS = 300;

/** A one-call script with telemetry on, against the same call with bare fetch, on every runtime. */
export async function measureStartUp(rounds: number): Promise<Record<string, { bare: Spread; toolkit: Spread }>> {
  const api = await startServer("server.ts", String(API_MS));
  const collector = await startServer("collector.ts", "ok");
  const url = `http://127.0.0.1:${api.port}`;
  const env = {
    ALPACA_BASE_URL: url,
    ALPACA_DATA_URL: url,
    ALPACA_API_KEY: "PKBENCH000000000000",
    ALPACA_API_SECRET: "bench-secret",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.port}`,
  };
  try {
    const results: Record<string, { bare: Spread; toolkit: Spread }> = {};
    for (const runtime of Object.keys(RUNTIMES)) {
      const { bare, toolkit } = await interleave(rounds, {
        bare: () => timeRun(runtime, "one-call-bare.ts", env),
        toolkit: () => timeRun(runtime, "one-call.ts", env),
      });
      if (bare && toolkit) results[runtime] = { bare, toolkit };
    }
    return results;
  } finally {
    api.stop();
    collector.stop();
  }
}

/** What each state of the collector adds to a script's wall time, against one that answers at once. */
export async function measureExitDelay(rounds: number): Promise<Record<string, Spread>> {
  const api = await startServer("server.ts", "0");
  const modes = ["ok", "hang", "503", "endless"];
  const collectors = await Promise.all(modes.map((mode) => startServer("collector.ts", mode)));
  const url = `http://127.0.0.1:${api.port}`;
  const run = (port: number) => () =>
    timeRun("node", "one-call.ts", {
      ALPACA_BASE_URL: url,
      ALPACA_DATA_URL: url,
      ALPACA_API_KEY: "PKBENCH000000000000",
      ALPACA_API_SECRET: "bench-secret",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    });
  try {
    return await interleave(rounds, {
      ...Object.fromEntries(modes.map((mode, at) => [mode, run(collectors[at]?.port ?? 0)])),
      // Port 1 is reserved, and nobody listens there.
      refused: run(1),
    });
  } finally {
    api.stop();
    for (const collector of collectors) collector.stop();
  }
}
