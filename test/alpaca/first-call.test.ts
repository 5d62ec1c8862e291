import assert from "node:assert/strict";
import { test } from "node:test";
import { createAlpacaClient } from "../../src/alpaca/client.ts";
import { AlpacaDisabledError } from "../../src/errors.ts";
import { configFor } from "./support.ts";

// In a file of its own, since what reads the answers must not have been loaded before.
test("a first call that fails before the answer's reader is loaded is no unhandled rejection", async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on("unhandledRejection", note);
  const config = configFor({ tradingUrl: "http://127.0.0.1:9" }, { ALPACA_ENABLED: "false" });
  await assert.rejects(createAlpacaClient({ config }).getClock(), AlpacaDisabledError);
  process.off("unhandledRejection", note);
  assert.deepEqual(unhandled, []);
});
