import type { IncomingMessage, ServerResponse } from "node:http";
import { gunzipSync } from "node:zlib";
import { Arrivals } from "./arrivals.ts";
import { listenOnLoopback } from "./loopback-server.ts";
import { EXPORT_REQUEST, type Signal } from "./otlp-messages.ts";
import { type LogRecord, logsOf, type MetricPoint, metricPointsOf, type SpanRecord, spansOf } from "./otlp-records.ts";
import { decodeMessage } from "./protobuf.ts";

/** How the receiver behaves: it takes everything, never answers, answers an error, or never ends its answer. */
export type ReceiverMode = "ok" | "hang" | "endless" | { readonly status: number };

/** What has arrived so far. */
export interface Received {
  readonly spans: SpanRecord[];
  readonly points: MetricPoint[];
  readonly logs: LogRecord[];
  /** Every body as it came, unzipped, also those that were never taken; what is no export request is not among them. */
  readonly bodies: { readonly signal: Signal; readonly bytes: Uint8Array }[];
}

/** A running receiver for OTLP over HTTP, with protobuf and JSON bodies. */
export interface OtlpReceiver extends AsyncDisposable {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly url: string;
  readonly received: Received;
  /** May be changed at any time. */
  mode: ReceiverMode;
  /** Resolves as soon as `find` gives anything but `undefined`; throws after `timeoutMs`. */
  waitFor<T>(find: (received: Received) => T | undefined, timeoutMs: number, what: string): Promise<T>;
  close(): Promise<void>;
}

const SIGNAL_OF_PATH: Readonly<Record<string, Signal>> = {
  "/v1/traces": "traces",
  "/v1/metrics": "metrics",
  "/v1/logs": "logs",
};
const DRIBBLE_MS = 100;
const MOST_BYTES = 16 * 1024 * 1024;

/** Starts a receiver on 127.0.0.1; port 0, the default, takes a free one. */
export async function startOtlpReceiver(options: { port?: number; mode?: ReceiverMode } = {}): Promise<OtlpReceiver> {
  const received: Received = { spans: [], points: [], logs: [], bodies: [] };
  const arrivals = new Arrivals();
  const dribbles = new Set<NodeJS.Timeout>();
  const server = await listenOnLoopback(async (request, response) => {
    const signal = SIGNAL_OF_PATH[request.url ?? ""];
    if (signal === undefined || request.method !== "POST") {
      response.writeHead(404).end();
      return;
    }
    const bytes = await readBody(request).catch(() => null);
    if (bytes === null) return;
    const { mode } = receiver;
    if (mode !== "ok") {
      received.bodies.push({ signal, bytes });
      arrivals.announce();
    }
    if (mode === "hang") return;
    if (mode === "endless") {
      response.writeHead(200, { "content-type": "application/json" });
      const timer = setInterval(() => response.write(" "), DRIBBLE_MS);
      dribbles.add(timer);
      response.on("close", () => clearInterval(timer));
      return;
    }
    if (typeof mode === "object") {
      response.writeHead(mode.status).end();
      return;
    }
    take(received, signal, bytes, request, response);
    arrivals.announce();
  }, options.port);
  const receiver: OtlpReceiver = {
    url: server.url,
    received,
    mode: options.mode ?? "ok",
    waitFor: (find, timeoutMs, what) => arrivals.waitFor(() => find(received), timeoutMs, what),
    close: async () => {
      arrivals.close();
      for (const timer of dribbles) clearInterval(timer);
      await server.close();
    },
    [Symbol.asyncDispose]: () => receiver.close(),
  };
  return receiver;
}

function take(
  received: Received,
  signal: Signal,
  bytes: Uint8Array,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const isJson = /\bjson\b/.test(request.headers["content-type"] ?? "");
  try {
    const body = isJson ? JSON.parse(new TextDecoder().decode(bytes)) : decodeMessage(bytes, EXPORT_REQUEST[signal]);
    if (signal === "traces") received.spans.push(...spansOf(body));
    else if (signal === "metrics") received.points.push(...metricPointsOf(body));
    else received.logs.push(...logsOf(body));
    received.bodies.push({ signal, bytes });
  } catch (error) {
    response.writeHead(400).end(`Cannot read the export request: ${(error as Error).message}`);
    return;
  }
  // An empty answer message: all of it was accepted.
  response.writeHead(200, { "content-type": isJson ? "application/json" : "application/x-protobuf" });
  response.end(isJson ? "{}" : "");
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > MOST_BYTES) throw new RangeError(`Cannot take an export request of more than ${MOST_BYTES} bytes`);
    chunks.push(chunk as Buffer);
  }
  const body = Buffer.concat(chunks);
  return request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
}
