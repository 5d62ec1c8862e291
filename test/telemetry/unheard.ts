import process from "node:process";
import { parseConfig } from "../../src/config/parse.ts";
import { startSession } from "../../src/telemetry/sdk.ts";
import { ROOT, recordOneOfEach } from "./support.ts";

// A program of its own, since a test's own output cannot be told from its runner's.
const { config } = parseConfig(process.env);
const session = await startSession({ config: config.telemetry, root: ROOT });
recordOneOfEach(session);
void session.flush();
process.stdout.write(`${JSON.stringify(await session.end(1_200))}\n`, () => process.exit(0));
