import { startOtlpReceiver } from "../src/local/otlp-receiver.ts";

/** A collector in the given state: ok, hang, endless or a status. Prints its port. */
const mode = process.argv[2] ?? "ok";
const receiver = await startOtlpReceiver({
  mode: mode === "ok" || mode === "hang" || mode === "endless" ? mode : { status: Number(mode) },
});
process.stdout.write(`${new URL(receiver.url).port}\n`);
