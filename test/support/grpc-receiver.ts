import { type Metadata, Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { Arrivals } from "../../src/local/arrivals.ts";
import { EXPORT_REQUEST, type Signal } from "../../src/local/otlp-messages.ts";
import type { Received } from "../../src/local/otlp-receiver.ts";
import { logsOf, metricPointsOf, spansOf } from "../../src/local/otlp-records.ts";
import { decodeMessage } from "../../src/local/protobuf.ts";

/** How exports are answered: taken, never answered, or failed with a gRPC status code such as 14 (unavailable). */
export type GrpcReceiverMode = "ok" | "hang" | { readonly code: number };

/** A running receiver for OTLP over gRPC. */
export interface GrpcReceiver extends AsyncDisposable {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly url: string;
  /** Of exports that were taken. */
  readonly received: Received;
  /** Exports that arrived, taken or not. */
  readonly counts: Readonly<Record<Signal, number>>;
  /** Metadata of the exports that arrived. */
  readonly metadata: readonly Metadata[];
  /** May be changed at any time. */
  mode: GrpcReceiverMode;
  /** Resolves as soon as `find` gives anything but `undefined`; throws after `timeoutMs`. */
  waitFor<T>(find: (received: Received) => T | undefined, timeoutMs: number, what: string): Promise<T>;
  close(): Promise<void>;
}

const SERVICE: Readonly<Record<Signal, string>> = {
  traces: "trace.v1.TraceService",
  metrics: "metrics.v1.MetricsService",
  logs: "logs.v1.LogsService",
};
const INVALID_ARGUMENT = 3;

/** Starts a receiver on a free port of 127.0.0.1. */
export async function startGrpcReceiver(mode: GrpcReceiverMode = "ok"): Promise<GrpcReceiver> {
  const received: Received = { spans: [], points: [], logs: [], bodies: [] };
  const counts: Record<Signal, number> = { traces: 0, metrics: 0, logs: 0 };
  const metadata: Metadata[] = [];
  const arrivals = new Arrivals();
  const server = new Server();
  for (const signal of ["traces", "metrics", "logs"] as const) {
    const path = `/opentelemetry.proto.collector.${SERVICE[signal]}/Export`;
    const handle = (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
      counts[signal] += 1;
      metadata.push(call.metadata);
      if (receiver.mode === "ok") answer(take(received, signal, call.request), Buffer.alloc(0));
      else if (receiver.mode !== "hang") answer({ code: receiver.mode.code, details: "scripted" });
      arrivals.announce();
    };
    const asIs = (bytes: Buffer) => bytes;
    server.register(path, handle, asIs, asIs, "unary");
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const receiver: GrpcReceiver = {
    url: `http://127.0.0.1:${port}`,
    received,
    counts,
    metadata,
    mode,
    waitFor: (find, timeoutMs, what) => arrivals.waitFor(() => find(received), timeoutMs, what),
    close: async () => {
      arrivals.close();
      server.forceShutdown();
    },
    [Symbol.asyncDispose]: () => receiver.close(),
  };
  return receiver;
}

function take(received: Received, signal: Signal, bytes: Buffer): { code: number; details: string } | null {
  try {
    const body = decodeMessage(bytes, EXPORT_REQUEST[signal]);
    if (signal === "traces") received.spans.push(...spansOf(body));
    else if (signal === "metrics") received.points.push(...metricPointsOf(body));
    else received.logs.push(...logsOf(body));
    received.bodies.push({ signal, bytes });
    return null;
  } catch (error) {
    return { code: INVALID_ARGUMENT, details: String(error) };
  }
}
