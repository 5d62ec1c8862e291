import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { startGrpcReceiver } from "./support/grpc-receiver.ts";
import { newStateDir, runScriptFile } from "./support/script.ts";

const ROOT = join(import.meta.dirname, "..");

/** Tests of what runs within a script, which Deno must pass as node does; the others start their scripts on both. */
const WITHIN = [
  "alpaca",
  "breaker",
  "config",
  "local",
  "telemetry",
  "script/environment.test.ts",
  "script/output.test.ts",
  "store/library.test.ts",
  "store/postgres.test.ts",
  "store/postgres-trouble.test.ts",
  "store/sqlite.test.ts",
];

/** These serve gRPC, which makes Deno 2.9.6 end in a segmentation fault; a script is a client only, as below. */
const SERVERS = ["test/local/grpc-receiver.test.ts", "test/telemetry/grpc-headers.test.ts"];

test("on Deno, a script's telemetry arrives over gRPC with its headers", async () => {
  await using receiver = await startGrpcReceiver();
  const { code, stderr } = await runScriptFile("scripts/status.ts", {
    runtime: "deno",
    env: {
      ALPACA_ENABLED: "false",
      STATE_DIR: newStateDir(),
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20a-token",
    },
  });
  assert.equal(code, 0, stderr);
  assert.ok(receiver.received.points.some(({ name }) => name === "alpaca.enabled"));
  assert.ok(receiver.received.spans.some(({ name }) => name === "script status"));
  for (const metadata of receiver.metadata) assert.deepEqual(metadata.get("authorization"), ["Bearer a-token"]);
});

for (const tests of WITHIN) {
  test(`on Deno: ${tests}`, { timeout: 240_000 }, async (t) => {
    // Deno's test runner does not tell a process of its end: what would be removed then is removed here.
    const folder = mkdtempSync(join(tmpdir(), "breakwater-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    // For the user that PostgreSQL runs as.
    chmodSync(folder, 0o711);
    const args = ["test", "--allow-all", "--no-check", "--quiet", `--ignore=${SERVERS}`, join("test", tests)];
    const child = spawn(join(ROOT, "node_modules/deno/deno"), args, {
      cwd: ROOT,
      env: { ...process.env, NO_COLOR: "1", TMPDIR: folder },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text) => (output += text));
    const [code] = await once(child, "close");
    assert.equal(code, 0, output);
    assert.match(output, /ok \| [1-9]\d* passed/);
  });
}
