import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, test } from "node:test";
import { ConfigError } from "../../src/errors.ts";
import { readEnvironment } from "../../src/script/environment.ts";

const folder = mkdtempSync(join(tmpdir(), "breakwater-"));
after(() => rmSync(folder, { recursive: true }));

function read(text: string, names: string[]) {
  writeFileSync(join(folder, ".env"), text);
  return readEnvironment(names, folder);
}

test("what the process has goes before .env, and a blank value does not count", (t) => {
  process.env.BREAKWATER_TEST_A = "own";
  process.env.BREAKWATER_TEST_B = " ";
  t.after(() => {
    delete process.env.BREAKWATER_TEST_A;
    delete process.env.BREAKWATER_TEST_B;
  });
  const names = ["BREAKWATER_TEST_A", "BREAKWATER_TEST_B", "BREAKWATER_TEST_C"];
  const env = read('BREAKWATER_TEST_A=file\nBREAKWATER_TEST_B="from file"\n', names);
  assert.deepEqual(
    { ...env },
    { BREAKWATER_TEST_A: "own", BREAKWATER_TEST_B: "from file", BREAKWATER_TEST_C: undefined },
  );
});

test("what .env says of OpenTelemetry is set in the process, where its SDK reads it", (t) => {
  t.after(() => {
    delete process.env.OTEL_SERVICE_NAME;
    delete process.env.BREAKWATER_TEST_D;
  });
  read("OTEL_SERVICE_NAME=mine\nBREAKWATER_TEST_D=d\n", ["OTEL_SERVICE_NAME", "BREAKWATER_TEST_D"]);
  assert.deepEqual([process.env.OTEL_SERVICE_NAME, process.env.BREAKWATER_TEST_D], ["mine", undefined]);
});

test("without a .env the process's own variables are all there is", () => {
  assert.equal(readEnvironment(["PATH"], join(folder, "nowhere")).PATH, process.env.PATH);
});

for (const [what, text, line] of [
  ["junk", "A=1\nthis is no assignment\n", 2],
  ["a quote that is never closed", 'A=1\n\n# comment\nB="half\n', 4],
  ["a name with a space", "MY KEY=1\n", 1],
  ["a quote that the next variable seems to close", 'A="half\nB="whole"\n', 1],
  ["something behind a closing quote", 'A=1\nB="half"junk\n', 2],
] as const) {
  test(`${what} in .env is an error with the number of its line, and without its text`, () => {
    assert.throws(
      () => read(text, ["A"]),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, new RegExp(`\\.env line ${line}:`));
        assert.ok(!/junk|half|assignment\b.*no|MY KEY/.test(error.message.replace(/NAME=value.*/, "")));
        return true;
      },
    );
  });
}

test("a mark of byte order at the beginning hides no variable", () => {
  assert.equal(read("\uFEFFA=first\r\nB=second\r\n", ["A"]).A, "first");
});

test("comments, blank lines, export, quotes over several lines and Windows line ends are fine", () => {
  const env = read("# c\r\n\r\nexport A=1\r\nB=\"two\nlines\"\nC='x # y'\n", ["A", "B", "C"]);
  assert.deepEqual({ ...env }, { A: "1", B: "two\nlines", C: "x # y" });
});
