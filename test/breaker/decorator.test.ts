import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { CircuitBreaker } from "../../src/breaker/circuit-breaker.ts";
import { withCircuitBreaker } from "../../src/breaker/decorator.ts";
import { CircuitBreakerOpenError } from "../../src/errors.ts";
import { Outage, onEveryCell } from "./support.ts";

const ROOT = join(import.meta.dirname, "../..");

onEveryCell((setUp) => {
  test("the wrapper calls through, hands back what the function returns, and throws what it throws", async () => {
    const { breaker, outcomes } = setUp();
    const divide = withCircuitBreaker(breaker)(async (dividend: number, divisor: number) => {
      if (divisor === 0) throw new Outage("by nothing");
      return dividend / divisor;
    });
    assert.equal(await divide(6, 3), 2);
    await assert.rejects(divide(6, 0), { name: "Outage", message: "by nothing" });
    assert.deepEqual(outcomes, ["success", "failure"]);
  });

  test("the wrapper rejects without a call while the circuit is open", async () => {
    const { breaker, fail } = setUp({ failureThreshold: 1 });
    await fail();
    const guarded = withCircuitBreaker(breaker)(() => assert.fail("the call ran"));
    await assert.rejects(guarded(), CircuitBreakerOpenError);
  });
});

const breaker = new CircuitBreaker({ name: "alpaca.trading" });
const guard = withCircuitBreaker(breaker);

function contextOf(kind: string): ClassMethodDecoratorContext {
  return { kind, name: "member" } as unknown as ClassMethodDecoratorContext;
}

test("the wrapper keeps name, length and this", async () => {
  const account = {
    currency: "USD",
    format: guard(async function format(this: { currency: string }, amount: number, digits: number) {
      return `${amount.toFixed(digits)} ${this.currency}`;
    }),
  };
  assert.equal(account.format.name, "format");
  assert.equal(account.format.length, 2);
  assert.equal(await account.format(1.5, 2), "1.50 USD");
  assert.equal(await account.format.call({ currency: "EUR" }, 1, 0), "1 EUR");
});

test("the wrapper returns a promise for a function that returns a plain value or throws at once", async () => {
  const plain = guard((value: number) => value + 1);
  assert.equal(await plain(1), 2);
  const throwing = guard((): number => {
    throw new Outage("now");
  });
  await assert.rejects(throwing(), { message: "now" });
});

test("the wrapper keeps the types of arguments and result", () => {
  const guarded = guard(async (symbol: string, limit: number) => ({ symbol, limit }));
  const typed: (symbol: string, limit: number) => Promise<{ symbol: string; limit: number }> = guarded;
  assert.equal(typed, guarded);
  // @ts-expect-error a number is no symbol
  const wrong: (symbol: number, limit: number) => unknown = guarded;
  assert.equal(wrong, guarded);
  const sync: (value: number) => Promise<string> = guard((value: number) => String(value));
  assert.equal(sync.length, 1);
});

test("as a decorator it replaces a method", async () => {
  class Client {
    readonly #answer = 42;
    async getAnswer(question: string): Promise<string> {
      return `${question} ${this.#answer}`;
    }
  }
  const original = Client.prototype.getAnswer;
  const replaced = guard(original, contextOf("method"));
  Client.prototype.getAnswer = replaced;
  assert.notEqual(replaced, original);
  assert.equal(replaced.name, "getAnswer");
  assert.equal(await new Client().getAnswer("life:"), "life: 42");
});

test("it decorates methods and functions only", () => {
  for (const kind of ["getter", "setter", "field", "accessor", "class"]) {
    assert.throws(() => guard(async () => {}, contextOf(kind)), {
      name: "TypeError",
      message: `Cannot put circuit "alpaca.trading" around a ${kind}: expected a function or method`,
    });
  }
  for (const [value, kind] of [
    [undefined, "undefined"],
    ["getClock", "string"],
    [{}, "object"],
  ] as const) {
    assert.throws(() => guard(value as unknown as () => void), {
      name: "TypeError",
      message: `Cannot put circuit "alpaca.trading" around a ${kind}: expected a function or method`,
    });
  }
});

for (const [runtime, command] of [
  ["tsx", ["node", "--import", "tsx"]],
  ["Deno", ["deno", "run", "--no-prompt", "--allow-env", "--allow-read"]],
] as const) {
  test(`the @ syntax works on ${runtime}`, async () => {
    const [program, ...args] = command;
    const { stdout } = await promisify(execFile)(
      join(ROOT, "node_modules/.bin", program),
      [...args, join(ROOT, "test/breaker/decorator-syntax.ts")],
      { cwd: ROOT },
    );
    assert.deepEqual(JSON.parse(stdout), {
      name: "getClock",
      length: 1,
      answers: ["NYSE is open", "NYSE is closed"],
      failure: "Outage",
      rejection: "CircuitBreakerOpenError",
      state: "open",
    });
  });
}
