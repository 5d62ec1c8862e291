import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";

const ROOT = join(import.meta.dirname, "..");

/** Layers from the lowest up; a file may import its own layer and lower ones. */
const LAYERS = [
  ["src/errors.ts", "src/instruments.ts"],
  ["src/config/"],
  ["src/breaker/"],
  ["src/store/"],
  ["src/alpaca/"],
  ["src/telemetry/"],
  ["src/script/"],
  ["src/mod.ts"],
  ["src/local/"],
  ["scripts/"],
];

function layerOf(path: string): number {
  return LAYERS.findIndex((places) =>
    places.some((place) => path === place || (place.endsWith("/") && path.startsWith(place))),
  );
}

interface Import {
  readonly specifier: string;
  readonly isTypeOnly: boolean;
}

function importsOf(path: string): Import[] {
  const text = readFileSync(join(ROOT, path), "utf8");
  const found = text.matchAll(
    /^\s*(import|export)\b(\s+type\b)?[^;]*?\bfrom\s+"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)|^import\s+"([^"]+)"/gm,
  );
  return [...found].map((match) => ({
    specifier: match[3] ?? match[4] ?? match[5] ?? "",
    isTypeOnly: match[2] !== undefined,
  }));
}

const FILES = globSync(["src/**/*.ts", "scripts/*.ts"], { cwd: ROOT }).map((path) => path.replaceAll("\\", "/"));

function resolve(from: string, specifier: string): string {
  return relative(ROOT, join(ROOT, dirname(from), specifier)).replaceAll("\\", "/");
}

test("every source file belongs to a layer", () => {
  assert.ok(FILES.length > 30);
  assert.deepEqual(
    FILES.filter((file) => layerOf(file) < 0),
    [],
  );
});

test("imports point down", () => {
  const upward = FILES.flatMap((file) =>
    importsOf(file)
      .filter(({ specifier }) => specifier.startsWith("."))
      .map(({ specifier }) => resolve(file, specifier))
      .filter((target) => layerOf(target) > layerOf(file))
      .map((target) => `${file} -> ${target}`),
  );
  assert.deepEqual(upward, []);
});

test("src/local is imported by scripts and tests only", () => {
  const wrong = FILES.filter((file) => file.startsWith("src/") && !file.startsWith("src/local/")).filter((file) =>
    importsOf(file).some(({ specifier }) => specifier.includes("/local/")),
  );
  assert.deepEqual(wrong, []);
});

test("imports make no circle", () => {
  const edges = new Map(
    FILES.map((file) => [
      file,
      importsOf(file)
        .filter(({ specifier, isTypeOnly }) => specifier.startsWith(".") && !isTypeOnly)
        .map(({ specifier }) => resolve(file, specifier)),
    ]),
  );
  const done = new Set<string>();
  const visit = (file: string, path: string[]): void => {
    assert.ok(!path.includes(file), `circle: ${[...path, file].join(" -> ")}`);
    if (done.has(file)) return;
    for (const target of edges.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of FILES) visit(file, []);
});

test("only src/script, src/local and scripts touch process", () => {
  const allowed = /^(?:src\/script\/|src\/local\/|scripts\/)/;
  const wrong = FILES.filter((file) => !allowed.test(file)).filter((file) =>
    /\bnode:process\b|\bprocess\.(?!\.)/.test(
      readFileSync(join(ROOT, file), "utf8").replace(/^\s*(?:\/\/|\*|\/\*).*$/gm, ""),
    ),
  );
  assert.deepEqual(wrong, []);
});

test("only src/telemetry imports the OpenTelemetry SDK", () => {
  const wrong = FILES.filter((file) => !file.startsWith("src/telemetry/")).filter((file) =>
    importsOf(file).some(
      ({ specifier }) => specifier.startsWith("@opentelemetry/") && specifier !== "@opentelemetry/api",
    ),
  );
  assert.deepEqual(wrong, []);
});

test("what is loaded before the first request stays small", () => {
  const seen = new Set<string>();
  const load = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(join(ROOT, file), "utf8");
    for (const match of text.matchAll(/^\s*(?:import|export)\b(?!\s+type\b)[^;]*?\bfrom\s+"(\.[^"]+)"/gm)) {
      load(resolve(file, match[1] ?? ""));
    }
  };
  // The store is loaded by `import()`, and before the first request as well.
  for (const root of ["src/script/run-script.ts", "src/script/harness.ts", "src/store/sqlite.ts"]) load(root);
  assert.ok(seen.size <= 46, `${seen.size} modules: ${[...seen].join(" ")}`);
});
