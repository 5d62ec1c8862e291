import { argv } from "node:process";
import { type Point, send } from "./sender.ts";

// A process of its own, as each run of a script is: node send-once.ts URL JSON
const [otlpUrl, points] = argv.slice(2);
if (otlpUrl === undefined || points === undefined) throw new Error("Cannot send: usage is URL JSON");
await send(otlpUrl, ...(JSON.parse(points) as Point[]));
