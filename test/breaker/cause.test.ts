import assert from "node:assert/strict";
import { test } from "node:test";
import { causeKind } from "../../src/breaker/cause.ts";
import { AlpacaError, AlpacaTimeoutError } from "../../src/errors.ts";

class Odd extends Error {
  override readonly name = "sk-live 1234";
}

test("a cause is told by its kind, and never by its words", () => {
  const secret = "s3cr3t";
  const refused = Object.assign(new Error(secret), { code: "ECONNREFUSED" });
  for (const [cause, kind] of [
    [undefined, null],
    [null, null],
    [new Response(secret, { status: 503 }), "HTTP 503"],
    [
      new AlpacaError({ kind: "unavailable", method: "GET", urlTemplate: "/v2/clock", status: 502, message: secret }),
      "HTTP 502",
    ],
    [refused, "ECONNREFUSED"],
    [new TypeError("fetch failed", { cause: refused }), "ECONNREFUSED"],
    [new TypeError("fetch failed", { cause: new Error(secret, { cause: refused }) }), "ECONNREFUSED"],
    [new TypeError(secret), "TypeError"],
    [new AlpacaTimeoutError("GET /v2/clock", 10), "TimeoutError"],
    [new DOMException(secret, "TimeoutError"), "TimeoutError"],
    [Object.assign(new Error(secret), { code: "no code: s3cr3t" }), "Error"],
    [Object.assign(new Error(secret), { code: 7 }), "Error"],
    [new Odd(secret), "Error"],
    [secret, "string"],
    [{ password: secret }, "object"],
  ] as const) {
    assert.equal(causeKind(cause), kind);
  }
});

test("causes that lead to each other in a circle come to an end", () => {
  const first = new Error("first");
  first.cause = new Error("second", { cause: first });
  assert.equal(causeKind(first), "Error");
});
