import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { startCollector } from "../support/collector.ts";
import { readText, readYaml } from "../support/observability.ts";
import { ROOT, requireProgram, runProgram, skipWithout } from "../support/programs.ts";

const CONFIG = join(ROOT, "otel-collector.yaml");
const LISTEN = join(ROOT, "observability/collector/listen.yaml");
const folder = mkdtempSync(join(tmpdir(), "breakwater-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const validate = (env: NodeJS.ProcessEnv, ...configs: string[]) =>
  runProgram("otelcol", ["validate", ...configs.flatMap((config) => ["--config", config])], { cwd: folder, env });

suite("collector configuration", { skip: skipWithout("otelcol") }, () => {
  test("is valid from any folder with no variable set", () => {
    assert.deepEqual(validate({}, CONFIG), { status: 0, output: "" });
  });

  for (const backend of ["otlp_grpc", "otlp_http"]) {
    test(`is valid with ${backend} as the back end`, () => {
      const env = {
        OTELCOL_TRACES_BACKEND: backend,
        OTELCOL_LOGS_BACKEND: backend,
        OTELCOL_BACKEND_ENDPOINT: "https://otlp.example:4317",
        OTELCOL_STORAGE_DIR: folder,
      };
      assert.deepEqual(validate(env, CONFIG), { status: 0, output: "" });
    });
  }

  test("does not listen for others without a token and a certificate", () => {
    const { status, output } = validate({}, CONFIG, LISTEN);
    assert.equal(status, 1);
    assert.match(output, /no bearer token provided/);
    assert.match(output, /must include both certificate and key/);
  });
});

suite("collector listening for others", { skip: skipWithout("otelcol", "openssl") }, () => {
  test("takes what comes with the token, and nothing else", async () => {
    const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
    execFileSync(
      requireProgram("openssl"),
      ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert, ...subject],
      { stdio: "ignore" },
    );
    const env = { OTLP_TOKEN: "a-token-for-this-test", OTLP_CERT_FILE: cert, OTLP_KEY_FILE: key };
    assert.deepEqual(validate(env, CONFIG, LISTEN), { status: 0, output: "" });

    const collector = await startCollector({ folder, env, configs: [LISTEN] });
    try {
      // In a process of its own, since the authority to trust is read when it starts.
      const statusOf = (header: string) =>
        execFileSync(
          process.execPath,
          [
            "-e",
            `fetch(process.argv[1], { method: "POST", body: "{}", headers: { "content-type": "application/json", authorization: process.argv[2] } })
              .then(({ status }) => process.stdout.write(String(status)))`,
            `${collector.otlpUrl.replace("http:", "https:")}/v1/traces`,
            header,
          ],
          { encoding: "utf8", env: { NODE_EXTRA_CA_CERTS: cert }, timeout: 20_000 },
        );
      assert.equal(statusOf("Bearer a-token-for-this-test"), "200");
      assert.equal(statusOf("Bearer another"), "401");
      const plain = await fetch(`${collector.otlpUrl}/v1/traces`, {
        method: "POST",
        body: "{}",
        headers: { "content-type": "application/json", authorization: "Bearer a-token-for-this-test" },
      });
      assert.equal(plain.status, 400);
      assert.match(await plain.text(), /HTTP request to an HTTPS server/);
    } finally {
      await collector.stop();
    }
  });
});

suite("slim collector", () => {
  type Components = Record<"receivers" | "processors" | "exporters" | "extensions", Record<string, unknown>>;
  const sections = ["receivers", "processors", "exporters", "extensions"] as const;

  test("is built from what the configurations name, all of one release", () => {
    const manifest = readYaml<Record<(typeof sections)[number], { gomod: string }[]>>(
      "observability/collector/builder.yaml",
    );
    const configs = [
      readYaml<Components>("otel-collector.yaml"),
      readYaml<Partial<Components>>("observability/collector/listen.yaml"),
    ];
    for (const section of sections) {
      const named = new Set(configs.flatMap((config) => Object.keys(config[section] ?? {})));
      // `otlp_grpc/backend` is made by otlpexporter, `health_check` by healthcheckextension.
      const kinds = new Set(
        [...named].map((name) => name.replace(/\/.*$/, "").replace("otlp_grpc", "otlp").replaceAll("_", "")),
      );
      const built = manifest[section].map(
        ({ gomod }) => /\/([a-z0-9]+?)(?:receiver|processor|exporter|extension)? v/.exec(gomod)?.[1],
      );
      assert.deepEqual(built.toSorted(), [...kinds].toSorted());
      for (const { gomod } of manifest[section]) assert.match(gomod, / v0\.161\.0$/);
    }
  });

  test("gives way to a collector of the user's own", () => {
    const build = (bin: string) =>
      spawnSync("sh", [join(ROOT, "observability/collector/build.sh")], {
        encoding: "utf8",
        env: { PATH: process.env.PATH, OTELCOL_BIN: bin },
      });
    assert.equal(build(process.execPath).stdout, `${process.execPath}\n`);
    const missing = build(join(folder, "nothing"));
    assert.equal(missing.status, 1);
    assert.match(missing.stderr, /^Cannot use OTELCOL_BIN: .*nothing is not an executable file/);
  });

  test("processes metrics in the order that makes sums exact", () => {
    const { service } = readYaml<{ service: { pipelines: { metrics: { processors: string[] } } } }>(
      "otel-collector.yaml",
    );
    const order = service.pipelines.metrics.processors;
    assert.deepEqual(order, ["memory_limiter", "batch", "redaction", "transform", "delta_to_cumulative"]);
    assert.match(
      readText("otel-collector.yaml"),
      /set\(datapoint\.start_time, Now\(\)\)\s+- set\(datapoint\.time, Now\(\)\)/,
    );
  });
});
