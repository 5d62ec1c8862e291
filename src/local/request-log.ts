import type { Credentials } from "./access.ts";
import { Arrivals } from "./arrivals.ts";
import type { SimulatedHost } from "./faults.ts";

/** A request that the simulator received. */
export interface LoggedRequest {
  readonly host: SimulatedHost;
  readonly method: string;
  /** Path without the query. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** Names in lower case; the values of the credentials are left out. */
  readonly headers: Readonly<Record<string, string>>;
  readonly credentials: Credentials;
  /** When it arrived, in ms since 1970. */
  readonly at: number;
  readonly requestId: string;
  /** Kind of the fault that was played. */
  readonly fault: string | null;
  /** Null as long as no answer was begun. */
  readonly status: number | null;
}

/** A logged request whose status is still to come. */
export type OpenRequest = { -readonly [Key in keyof LoggedRequest]: LoggedRequest[Key] };

/** The latest requests, oldest first; `size` of them are kept. */
export class RequestLog {
  readonly #size: number;
  readonly #arrivals = new Arrivals();
  #requests: LoggedRequest[] = [];
  readonly counts: Record<SimulatedHost, number> = { trading: 0, data: 0 };

  constructor(size: number) {
    this.#size = size;
  }

  get requests(): readonly LoggedRequest[] {
    return this.#requests;
  }

  add(request: LoggedRequest): void {
    this.counts[request.host] += 1;
    this.#requests.push(request);
    if (this.#requests.length > this.#size) this.#requests.shift();
    this.#arrivals.announce();
  }

  /** Forgets the requests and their counts. */
  clear(): void {
    this.#requests = [];
    Object.assign(this.counts, { trading: 0, data: 0 });
  }

  waitFor(predicate: (request: LoggedRequest) => boolean, timeoutMs: number): Promise<LoggedRequest> {
    return this.#arrivals.waitFor(() => this.#requests.find(predicate), timeoutMs, "a request");
  }

  close(): void {
    this.#arrivals.close();
  }
}
