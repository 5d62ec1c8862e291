import assert from "node:assert/strict";
import { test } from "node:test";
import { printable, render, table, toJson } from "../../src/script/output.ts";

test("what would steer a terminal is shown as a mark, colours and line ends apart", () => {
  const red = "\u001b[31mred\u001b[39m";
  assert.equal(
    printable(`a\u001b]0;title\u0007b\u001b[2J ${red}\nc\u202e\u009b`),
    `a\ufffd]0;title\ufffdb\ufffd[2J ${red}\nc\ufffd\ufffd`,
  );
});

test("a line end within a cell forges no row", () => {
  assert.equal(table(["a"], [["one\ntwo"]]).split("\n").length, 2);
});

test("numbers stand on the right, words on the left", () => {
  assert.equal(
    table(
      ["name", "qty"],
      [
        ["AAPL", "5"],
        ["F", "100"],
      ],
    ),
    "name  qty\nAAPL    5\nF     100",
  );
});

test("JSON has ISO times and text for what is larger than a number", () => {
  assert.equal(
    toJson({ at: new Date(0), id: 2n ** 60n }),
    '{\n  "at": "1970-01-01T00:00:00.000Z",\n  "id": "1152921504606846976"\n}',
  );
  assert.equal(toJson(undefined), "null");
  assert.throws(() => toJson(() => 1), /as JSON: it is a function/);
});

test("any result has a form for a person", () => {
  assert.equal(render(undefined), "");
  assert.equal(render("words"), "words");
  assert.equal(render([]), "none");
  assert.equal(render([{ a: 1 }, { a: 2, b: "x" }]), "a  b\n1\n2  x");
  assert.equal(render({ is_open: true, n: null }), "is_open  true\nn        ");
});
