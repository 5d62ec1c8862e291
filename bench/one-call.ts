import { runScript } from "../src/script/run-script.ts";

// With the state that every script shares.
await runScript({
  name: "one-call",
  description: "Makes one call, as the smallest useful script does.",
  run: async ({ alpaca }) => (await alpaca.getClock()).is_open,
});
