import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A server that answers `/v2/clock` after `delayMs`, with 1 KB of JSON; in a process of its own, to measure against. */
const delayMs = Number(process.argv[2] ?? 0);
const body = JSON.stringify({
  timestamp: "2026-11-24T10:00:00.000000000-05:00",
  is_open: true,
  next_open: "2026-11-25T09:30:00-05:00",
  next_close: "2026-11-24T16:00:00-05:00",
  padding: "x".repeat(850),
});
const server = createServer((_request, response) => {
  const answer = () => {
    response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
    response.end(body);
  };
  if (delayMs > 0) setTimeout(answer, delayMs);
  else answer();
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
