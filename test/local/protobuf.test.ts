import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeMessage, type Message } from "../../src/local/protobuf.ts";

const INNER: Message = { 1: ["text", "string"] };
const OUTER: Message = {
  1: ["signed", "int64"],
  2: ["inner", [INNER]],
  3: ["counts", ["fixed64"]],
  4: ["flag", "bool"],
  5: ["id", "hex"],
};

function decode(...bytes: number[]) {
  return decodeMessage(Uint8Array.from(bytes), OUTER);
}

const ONE = [1, 0, 0, 0, 0, 0, 0, 0];
const TWO = [2, 0, 0, 0, 0, 0, 0, 0];

test("64-bit numbers are whole, and negative ones too", () => {
  assert.deepEqual(decode(0x08, ...Array(9).fill(0xff), 0x01), { signed: "-1" });
  assert.deepEqual(decode(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), {
    signed: "9223372036854775807",
  });
});

test("repeated fields are lists, packed or not", () => {
  assert.deepEqual(decode(0x1a, 16, ...ONE, ...TWO), { counts: ["1", "2"] });
  assert.deepEqual(decode(0x19, ...ONE, 0x19, ...TWO), { counts: ["1", "2"] });
  assert.deepEqual(decode(0x12, 3, 0x0a, 1, 0x61, 0x12, 0), { inner: [{ text: "a" }, {}] });
});

test("unknown fields of every wire type are skipped", () => {
  const unknown = [0x78, 0x96, 0x01, 0x79, ...ONE, 0x7a, 2, 9, 9, 0x7d, 1, 2, 3, 4];
  assert.deepEqual(decode(...unknown, 0x20, 1, 0x2a, 2, 0xab, 0x01), { flag: true, id: "ab01" });
});

test("bytes that end early, do not fit or are no text are errors", () => {
  assert.throws(() => decode(0x12, 5, 0x0a), /end early/);
  assert.throws(() => decode(0x08), /end early/);
  assert.throws(() => decode(0x20 | 2, 0), /wire type 2 where 0 is due/);
  assert.throws(() => decode(0x0b), /unknown wire type 3/);
  assert.throws(() => decode(0x08, ...Array(11).fill(0xff)), /more than 10 bytes/);
  assert.throws(() => decode(0x12, 3, 0x0a, 1, 0xff), TypeError);
});
