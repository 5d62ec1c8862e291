import process from "node:process";
import { EXIT, InterruptedError } from "../errors.ts";

const ECHO_MS = 300;

/** Watches over every way out of a script's body, so that all of them pass by the delivery of what was recorded. */
export class Watchman {
  readonly #controller = new AbortController();
  readonly #exit = process.exit.bind(process);
  #interruption: InterruptedError | null = null;
  #isExiting = false;

  constructor() {
    // A reader that has seen enough, such as `head`, is no failure.
    process.stdout.on("error", () => {});
    process.stderr.on("error", () => {});
  }

  /** Aborted, with an InterruptedError, by SIGINT and SIGTERM. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get interruption(): InterruptedError | null {
    return this.#interruption;
  }

  /** Ends the process. */
  exit(code: number): never {
    this.#isExiting = true;
    return this.#exit(code);
  }

  /**
   * Runs the body until it ends in any way: by itself, by an error that nobody caught, by `process.exit`, by waiting
   * for something that cannot happen any more, or by a signal and at most `graceMs` after it. A second signal ends the
   * process at once.
   */
  async guard<T>(body: () => Promise<T>, graceMs: number): Promise<T> {
    const ended = Promise.withResolvers<never>();
    ended.promise.catch(() => {});
    let timer: NodeJS.Timeout | undefined;
    let interruptedAtMs = Number.NEGATIVE_INFINITY;
    const interrupt = (name: "SIGINT" | "SIGTERM") => {
      const error = new InterruptedError(name);
      // A terminal signals a whole group, and what runs the script may hand its own on: two at once are one.
      const isEcho = performance.now() - interruptedAtMs < ECHO_MS;
      if (this.#interruption && isEcho) return;
      if (this.#interruption || this.#isExiting) this.exit(error.exitCode);
      interruptedAtMs = performance.now();
      this.#interruption = error;
      this.#controller.abort(error);
      timer = setTimeout(() => ended.reject(error), graceMs);
    };
    process.on("SIGINT", interrupt);
    process.on("SIGTERM", interrupt);
    process.on("uncaughtException", ended.reject);
    process.on("unhandledRejection", ended.reject);
    process.once("beforeExit", () =>
      ended.reject(new Error("the script is still waiting, and nothing is left that could wake it")),
    );
    process.exit = (code) => {
      const status = Number(code ?? process.exitCode ?? EXIT.done);
      const request = new ExitRequest(status);
      if (this.#isExiting) this.#exit(status);
      ended.reject(request);
      throw request;
    };
    try {
      return await Promise.race([body(), ended.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** `process.exit` in a script's body: what was recorded is delivered first. */
export class ExitRequest extends Error {
  override readonly name = "ExitRequest";
  readonly status: number;

  constructor(status: number) {
    super(`the script ended itself with exit code ${status}`);
    this.status = status;
  }
}
