import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { readMetrics, startCollector } from "../support/collector.ts";
import { freePorts } from "../support/daemon.ts";
import { startOtlpSink } from "../support/otlp-sink.ts";
import { poll } from "../support/poll.ts";
import { skipWithout } from "../support/programs.ts";
import { send } from "../support/sender.ts";

const KEY_ID = "PKTESTTESTTESTTEST12";
const SECRET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN0123";
/** Ways in which a credential strays into a value; each must come out without the credential. */
const STRAYS = {
  "url.full": `https://user:hunter2hunter2@example.test/v2/orders?token=${SECRET}`,
  "http.request.header.authorization": "Bearer abcdef.0123456789",
  "exception.message": `401 for APCA-API-KEY-ID: ${KEY_ID}, APCA-API-SECRET-KEY: ${SECRET}`,
  "process.command_args": `--key=${KEY_ID}`,
  "alpaca.api_secret": "short-secret",
};
const PLANTED = [KEY_ID, SECRET, "hunter2hunter2", "abcdef.0123456789", "short-secret"];
/** What looks a bit like one, and has to arrive. */
const HARMLESS = {
  "alpaca.request_id": "0123456789abcdef0123456789abcdef",
  "circuit_breaker.event_id": "3f0c1f5e-8f4c-4b7e-9a53-0f6f2f9a1b2c",
  "url.template": "/v2/orders/{order_id}",
};

const folder = mkdtempSync(join(tmpdir(), "breakwater-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const attributes = (values: Readonly<Record<string, string>>) =>
  Object.entries(values).map(([key, stringValue]) => ({ key, value: { stringValue } }));

async function post(url: string, body: unknown): Promise<void> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  assert.equal(response.status, 200);
}

suite("collector with a back end", { skip: skipWithout("otelcol") }, () => {
  test("keeps what the back end cannot take, over a restart, and no credential in it", {
    timeout: 60_000,
  }, async () => {
    const [port] = (await freePorts(1)) as [number];
    const env = {
      OTELCOL_TRACES_BACKEND: "otlp_http",
      OTELCOL_LOGS_BACKEND: "otlp_http",
      OTELCOL_BACKEND_ENDPOINT: `http://127.0.0.1:${port}`,
    };
    const collector = await startCollector({ folder, env });
    try {
      const span = {
        traceId: "0af7651916cd43dd8448eb211c80319c",
        spanId: "b7ad6b7169203331",
        name: "GET /v2/orders/{order_id}",
        startTimeUnixNano: "1",
        endTimeUnixNano: "2",
        attributes: attributes({ ...STRAYS, ...HARMLESS }),
        events: [{ timeUnixNano: "1", name: "exception", attributes: attributes(STRAYS) }],
      };
      const record = {
        timeUnixNano: "1",
        eventName: "circuit_breaker.opened",
        body: { stringValue: `rejected for ${KEY_ID} with ${SECRET}` },
        attributes: attributes({ ...STRAYS, ...HARMLESS }),
      };
      const resource = {
        attributes: attributes({ "service.name": "breakwater", "process.command_line": `x ${SECRET}` }),
      };
      await post(`${collector.otlpUrl}/v1/traces`, { resourceSpans: [{ resource, scopeSpans: [{ spans: [span] }] }] });
      await post(`${collector.otlpUrl}/v1/logs`, {
        resourceLogs: [{ resource, scopeLogs: [{ logRecords: [record] }] }],
      });
      await collector.stop();

      const sink = await startOtlpSink(port);
      try {
        await collector.restart();
        const arrived = await poll("both signals at the back end", () => {
          const all = sink.bodies.join("");
          return all.includes("GET /v2/orders/{order_id}") && all.includes("circuit_breaker.opened") && all;
        });
        for (const planted of PLANTED) assert.ok(!arrived.includes(planted), `${planted} reached the back end`);
        for (const harmless of Object.values(HARMLESS)) assert.ok(arrived.includes(harmless), `${harmless} was lost`);
      } finally {
        await sink.stop();
      }
      for (const planted of PLANTED) assert.ok(!collector.log().includes(planted), `${planted} is in the log`);
    } finally {
      await collector.stop();
    }
  });

  test("shows no credential in a metric", async () => {
    const collector = await startCollector({ folder });
    try {
      await send(collector.otlpUrl, {
        name: "script.runs",
        value: 1,
        attributes: { "script.name": `x --key=${KEY_ID} ${SECRET}`, "host.name": "box" },
      });
      const text = await poll("the metric", async () => {
        const metrics = await readMetrics(collector.metricsTarget);
        return metrics.includes("script_runs_total{") && metrics;
      });
      for (const planted of PLANTED) assert.ok(!text.includes(planted));
      assert.match(text, /script_name="x --key=\*\*\*\* \*\*\*\*"/);
    } finally {
      await collector.stop();
    }
  });
});
