import { CircuitBreaker } from "../../src/breaker/circuit-breaker.ts";
import { withCircuitBreaker } from "../../src/breaker/decorator.ts";

const breaker = new CircuitBreaker({ name: "alpaca.trading", failureThreshold: 1 });

class Client {
  readonly #exchange: string;

  constructor(exchange: string) {
    this.#exchange = exchange;
  }

  @withCircuitBreaker(breaker)
  async getClock(state: "open" | "closed" | "down"): Promise<string> {
    if (state === "down") throw Object.assign(new Error("down"), { name: "Outage" });
    return `${this.#exchange} is ${state}`;
  }
}

const client = new Client("NYSE");
const nameOf = (error: Error) => error.name;
const result = {
  name: client.getClock.name,
  length: client.getClock.length,
  answers: [await client.getClock("open"), await client.getClock("closed")],
  failure: await client.getClock("down").catch(nameOf),
  rejection: await client.getClock("open").catch(nameOf),
  state: breaker.state,
};
process.stdout.write(JSON.stringify(result));
