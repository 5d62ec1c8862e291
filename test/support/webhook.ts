import { once } from "node:events";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { type PollOptions, poll } from "./poll.ts";

/** One alert of one message, as Alertmanager sends it, and when it arrived. */
export interface ReceivedAlert {
  readonly status: "firing" | "resolved";
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** `performance.now()` */
  readonly arrivedMs: number;
}

/** Takes alerts as a pager would. */
export interface Webhook {
  readonly url: string;
  readonly alerts: readonly ReceivedAlert[];
  /** Waits for an alert of this name and status whose labels include the given ones. */
  readonly waitFor: (
    name: string,
    status: ReceivedAlert["status"],
    labels?: Readonly<Record<string, string>>,
    options?: PollOptions,
  ) => Promise<ReceivedAlert>;
  readonly stop: () => Promise<void>;
}

/** Starts the receiver on a free port of 127.0.0.1. */
export async function startWebhook(): Promise<Webhook> {
  const alerts: ReceivedAlert[] = [];
  const server = createServer(async (request, response) => {
    const message = JSON.parse(await text(request)) as { alerts: Omit<ReceivedAlert, "arrivedMs">[] };
    const arrivedMs = performance.now();
    alerts.push(...message.alerts.map((alert) => ({ ...alert, arrivedMs })));
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot start the webhook: no address");
  return {
    url: `http://127.0.0.1:${address.port}/alerts`,
    alerts,
    waitFor: (name, status, labels = {}, options = {}) =>
      poll(
        `${name} ${status} at the webhook`,
        () =>
          alerts.find(
            (alert) =>
              alert.status === status &&
              alert.labels.alertname === name &&
              Object.entries(labels).every(([key, value]) => alert.labels[key] === value),
          ),
        options,
      ),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
