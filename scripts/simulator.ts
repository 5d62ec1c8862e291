import { JobError, UsageError } from "../src/errors.ts";
import { parseFault } from "../src/local/fault-text.ts";
import type { LoggedRequest } from "../src/local/request-log.ts";
import { type Simulator, startSimulator } from "../src/local/simulator.ts";
import { runScript } from "../src/script/run-script.ts";

await runScript({
  name: "simulator",
  description: "Runs a simulator of Alpaca on this machine until Ctrl-C, and says what is asked of it.",
  alpaca: "none",
  options: {
    port: { type: "string", placeholder: "PORT", default: "4010", description: "Port of the trading host" },
    "data-port": { type: "string", placeholder: "PORT", default: "4011", description: "Port of the market data host" },
    fault: {
      type: "string",
      multiple: true,
      placeholder: "503",
      description: "Go wrong all the time: 503, throttle:30, delay:2000, hang, reset, truncated, garbage",
    },
    orders: { type: "string", placeholder: "COUNT", default: "12", description: "Orders that it begins with" },
  },
  check: (args) => {
    parseCount("port", args.port, 65_535);
    parseCount("data-port", args["data-port"], 65_535);
    parseCount("orders", args.orders, 100_000);
    for (const text of args.fault ?? []) checkFault(text);
  },
  run: async ({ args, log, signal }) => {
    await using simulator = await startSimulator({
      port: parseCount("port", args.port, 65_535),
      dataPort: parseCount("data-port", args["data-port"], 65_535),
      orders: parseCount("orders", args.orders, 100_000),
      onRequest: (request) => log.info(describeRequest(request)),
    }).catch((error: NodeJS.ErrnoException & { port?: number }) => {
      if (error.code !== "EADDRINUSE") throw error;
      const port = error.port ?? `${args.port} or ${args["data-port"]}`;
      throw new JobError(
        `Cannot start the simulator: port ${port} is taken; choose another with --port and --data-port`,
      );
    });
    for (const text of args.fault ?? []) simulator.fault(parseFault(text));
    log.info(`${describeEnvironment(simulator)}\n\nCopy these lines into .env; Ctrl-C ends the simulator\n`);
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  },
});

function describeEnvironment({ tradingUrl, dataUrl, keyId, secretKey }: Simulator): string {
  return [
    `ALPACA_BASE_URL=${tradingUrl}`,
    `ALPACA_DATA_URL=${dataUrl}`,
    `ALPACA_API_KEY=${keyId}`,
    `ALPACA_API_SECRET=${secretKey}`,
  ].join("\n");
}

function describeRequest({ at, host, method, path, status, credentials }: LoggedRequest): string {
  const time = new Date(at).toISOString().slice(11, 23);
  const note = credentials === "valid" ? "" : `  credentials ${credentials}`;
  return `${time}  ${host.padEnd(7)}  ${method} ${path}  ${status ?? "no answer"}${note}`;
}

function parseCount(flag: string, text: string | undefined, most: number): number {
  if (text !== undefined && /^\d{1,6}$/.test(text) && Number(text) <= most) return Number(text);
  throw new UsageError(`Cannot use --${flag}: expected a whole number from 0 to ${most}`);
}

function checkFault(text: string): void {
  try {
    parseFault(text);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
