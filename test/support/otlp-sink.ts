import { once } from "node:events";
import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";

/** Takes the place of a back end for traces and logs. */
export interface OtlpSink {
  readonly url: string;
  /** Everything that arrived, unpacked, one string a request; bytes are kept as Latin-1 characters. */
  readonly bodies: readonly string[];
  readonly stop: () => Promise<void>;
}

/** Starts the sink on 127.0.0.1; port 0 means any. */
export async function startOtlpSink(port = 0): Promise<OtlpSink> {
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    const body = await buffer(request);
    bodies.push((request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString("latin1"));
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot start the OTLP sink: no address");
  return {
    url: `http://127.0.0.1:${address.port}`,
    bodies,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
