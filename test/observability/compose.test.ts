import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite, test } from "node:test";
import { readYaml } from "../support/observability.ts";
import { ROOT } from "../support/programs.ts";

interface Service {
  readonly image: string;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly network_mode?: string;
  readonly depends_on?: readonly string[];
  readonly environment?: Readonly<Record<string, unknown>>;
}

const compose = readYaml<{ services: Record<string, Service>; volumes: Record<string, null> }>(
  "observability/compose.yaml",
);
const services = Object.entries(compose.services);

suite("compose file", () => {
  test("is of the Compose Specification's schema", () => {
    const check = (file: string) =>
      spawnSync(join(ROOT, "node_modules/.bin/dclint"), ["--quiet", file], { encoding: "utf8" });
    const { status, stdout } = check(join(ROOT, "observability/compose.yaml"));
    assert.equal(status, 0, stdout);
    const broken = join(mkdtempSync(join(tmpdir(), "breakwater-")), "compose.yaml");
    writeFileSync(broken, "services: { collector: { image: otel, port: 4317 } }");
    assert.match(check(broken).stdout, /invalid-schema/);
    rmSync(dirname(broken), { recursive: true });
  });

  test("has what is needed, each with an exact tag", () => {
    const images = services.map(([, { image }]) => image.replace(/:[^:]*$/, "").replace(/^.*\//, ""));
    for (const needed of ["opentelemetry-collector-contrib", "prometheus", "alertmanager", "grafana", "jaeger"]) {
      assert.ok(images.includes(needed), `${needed} is missing`);
    }
    for (const [name, { image }] of services) assert.match(image, /:v?\d+\.\d+(\.\d+)?$/, name);
  });

  test("publishes on loopback only", () => {
    for (const [name, { ports = [], network_mode }] of services) {
      for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, name);
      if (network_mode !== undefined) assert.deepEqual(ports, [], `${name}: its network publishes`);
    }
  });

  test("names services, volumes and files that exist", () => {
    for (const [name, { volumes = [], depends_on = [], network_mode }] of services) {
      const others = [...depends_on, ...(network_mode === undefined ? [] : [network_mode.replace("service:", "")])];
      for (const other of others) assert.ok(other in compose.services, `${name}: no service ${other}`);
      for (const [source] of volumes.map((volume) => volume.split(":"))) {
        if (source === undefined) assert.fail(`${name}: a volume without a source`);
        else if (!source.startsWith(".")) assert.ok(source in compose.volumes, `${name}: no volume ${source}`);
        else assert.ok(existsSync(join(ROOT, "observability", source)), `${name}: no file ${source}`);
      }
    }
  });

  test("gives Grafana a data source for every kind that it is to show", () => {
    const { datasources } = readYaml<{ datasources: { type: string; url: string }[] }>(
      "observability/grafana/provisioning/datasources/breakwater.yaml",
    );
    assert.deepEqual(datasources.map(({ type }) => type).sort(), ["alertmanager", "jaeger", "prometheus"]);
    const { providers } = readYaml<{ providers: { options: { path: string } }[] }>(
      "observability/grafana/provisioning/dashboards/breakwater.yaml",
    );
    const mounted = compose.services.grafana?.volumes?.map((volume) => volume.split(":")[1]);
    assert.ok(mounted?.includes(providers[0]?.options.path), "the folder of the dashboards is not mounted");
  });
});
