import { connect, type Socket } from "node:net";
import { clearTimeout, setTimeout } from "node:timers";
import postgres from "postgres";
import type { Secret } from "../config/secret.ts";

const CONNECT_MS = 2_000;
const STATEMENT_MS = 2_000;
/** Longer than the server's own bound, so that a slow statement is the server's to end. */
const ANSWER_MS = 2_500;

/** What a connection tells whoever opened it. */
export interface LaneEvents {
  readonly onNotify?: (payload: string) => void;
  /** It is over and nobody asked for it. */
  readonly onLost?: (error: DatabaseError) => void;
}

/** What the database or the way to it had to say; never the URL, nor what is secret in it. */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";
  /** SQLSTATE, or the system's code. */
  readonly code: string | null;

  constructor(message: string, code: string | null = null) {
    super(message);
    this.code = code;
  }
}

/** Values of a statement's parameters. */
export type Argument = string | number | boolean | null;

/**
 * One connection, for one user at a time: it is never opened again, so that the rest of a transaction cannot run on
 * another one. Its socket keeps no process alive, but a statement under way does, for 2.5 s at most.
 */
export class Lane {
  readonly #sql: postgres.Sql;
  readonly #secrets: readonly string[];
  readonly #events: LaneEvents;
  readonly #waiting = new Set<(error: DatabaseError) => void>();
  #isDialled = false;
  #socket: Socket | null = null;
  #hasEnded = false;

  /** Connects with the first statement. @throws {DatabaseError} for a URL that is none. */
  constructor(url: Secret, events: LaneEvents = {}) {
    this.#events = events;
    // Some are not in the package's types; what its user may set in the URL is left to the URL, sslmode above all.
    const options = {
      max: 1,
      max_lifetime: null,
      fetch_types: false,
      // Bounded here: by `dial`, and by the answer to the first statement.
      connect_timeout: 0,
      connection: {
        application_name: "breakwater",
        statement_timeout: STATEMENT_MS,
        idle_in_transaction_session_timeout: 2 * STATEMENT_MS,
      },
      socket: (target: Target) => this.#dial(target),
      onclose: () => this.discard(new DatabaseError("the connection was closed")),
      onnotice: () => {},
      onnotify: (_channel: string, payload: string) => events.onNotify?.(payload),
    };
    try {
      this.#sql = postgres(url.reveal(), options);
      const { pass } = this.#sql.options as { pass?: unknown };
      this.#secrets = [url.reveal(), new URL(url.reveal()).password, String(pass ?? "")].filter((text) => text !== "");
    } catch {
      throw new DatabaseError("it is no URL of a database");
    }
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Rows of a statement; several that are asked for at once are answered in their order. @throws {DatabaseError} */
  async query<Row>(text: string, args: readonly Argument[] = [], boundMs: number = ANSWER_MS): Promise<Row[]> {
    if (this.#hasEnded) throw new DatabaseError("the connection is closed");
    const { promise, resolve, reject } = Promise.withResolvers<Row[]>();
    const timer = setTimeout(() => this.discard(new DatabaseError(`no answer within ${boundMs} ms`)), boundMs);
    this.#waiting.add(reject);
    this.#sql
      .unsafe(text, [...args], { prepare: args.length > 0 })
      .then((rows) => resolve(rows as unknown as Row[]), reject);
    try {
      return await promise;
    } catch (error) {
      throw this.#plain(error);
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(reject);
    }
  }

  /** Ends it at once, whatever it is doing: the server rolls an open transaction back. */
  discard(error: DatabaseError = new DatabaseError("the connection was given up")): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    for (const reject of this.#waiting) reject(error);
    this.#sql.end({ timeout: 0 }).catch(() => {});
    this.#socket?.destroy();
    this.#events.onLost?.(error);
  }

  /** Says goodbye to the server, within 1 s. */
  async end(): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    await this.#sql.end({ timeout: 1 }).catch(() => {});
    this.#socket?.destroy();
  }

  async #dial({ host, port, path }: Target): Promise<Socket> {
    if (this.#isDialled) throw new DatabaseError("the connection was closed");
    this.#isDialled = true;
    const targets = path ? [{ path }] : host.map((name, at) => ({ host: name, port: port[at] ?? 5432 }));
    let last: unknown;
    for (const target of targets) {
      try {
        this.#socket = await dial(target, CONNECT_MS / targets.length);
        if (this.#hasEnded) this.#socket.destroy();
        return this.#socket;
      } catch (error) {
        last = error;
      }
    }
    // With several hosts the package would wait for ever.
    this.discard(this.#plain(last));
    throw last;
  }

  #plain(error: unknown): DatabaseError {
    if (error instanceof DatabaseError) return error;
    const { message, code, name } = error as { message?: string; code?: string; name?: string };
    const words = message || code || name || "unknown";
    const isSafe = !this.#secrets.some((secret) => words.includes(secret));
    return new DatabaseError(isSafe ? words : (code ?? "unknown"), code ?? null);
  }
}

interface Target {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path?: string | false;
}

function dial(target: { path: string } | { host: string; port: number }, boundMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(target);
    // TLS asks the socket for the name that the certificate must have.
    if ("host" in target) Object.assign(socket, target);
    socket.unref();
    const timer = setTimeout(() => socket.destroy(new Error(`no connection within ${boundMs} ms`)), boundMs);
    socket.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}
