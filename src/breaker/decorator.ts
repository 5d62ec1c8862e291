import type { CircuitBreaker } from "./circuit-breaker.ts";

type AsyncFunction<This, Args extends unknown[], Result> = (this: This, ...args: Args) => Result | Promise<Result>;

/**
 * Puts a breaker around a function or, as a TC39 decorator, around a method: `withCircuitBreaker(breaker)(fn)` or
 * `@withCircuitBreaker(breaker)`. What comes back has the same name, length and `this`, and throws
 * CircuitBreakerOpenError while the circuit does not admit calls.
 *
 * @throws {TypeError} when it decorates anything but a method.
 */
export function withCircuitBreaker(breaker: CircuitBreaker) {
  return <This, Args extends unknown[], Result>(
    fn: AsyncFunction<This, Args, Result>,
    context?: ClassMethodDecoratorContext,
  ): ((this: This, ...args: Args) => Promise<Awaited<Result>>) => {
    if (typeof fn !== "function" || (context && context.kind !== "method")) {
      throw new TypeError(
        `Cannot put circuit "${breaker.name}" around a ${context?.kind ?? typeof fn}: expected a function or method`,
      );
    }
    const guarded = function (this: This, ...args: Args): Promise<Awaited<Result>> {
      return breaker.execute(() => fn.apply(this, args)) as Promise<Awaited<Result>>;
    };
    Object.defineProperty(guarded, "name", { value: fn.name, configurable: true });
    Object.defineProperty(guarded, "length", { value: fn.length, configurable: true });
    return guarded;
  };
}
