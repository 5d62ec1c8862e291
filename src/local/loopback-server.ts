import { createServer, type RequestListener } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** An HTTP server that only this machine can reach. */
export interface LoopbackServer extends AsyncDisposable {
  /** Such as `http://127.0.0.1:4318`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** Stops listening and cuts every connection at once, those with an unanswered request included. */
  close(): Promise<void>;
}

/** Listens on 127.0.0.1; port 0, the default, takes a free one. Throws when the port is not one or is taken. */
export async function listenOnLoopback(listener: RequestListener, port = 0): Promise<LoopbackServer> {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`Cannot listen: port must be a whole number from 0 to 65535, not ${port}`);
  }
  const server = createServer(listener);
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address() as AddressInfo;
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
    return closed;
  };
  return { url: `http://127.0.0.1:${address.port}`, port: address.port, close, [Symbol.asyncDispose]: close };
}
