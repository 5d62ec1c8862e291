import type { IncomingMessage } from "node:http";
import type { SimulatedHost } from "./faults.ts";
import { ApiProblem, jsonReply, type Reply } from "./reply.ts";

const KEY_HEADER = "apca-api-key-id";
const SECRET_HEADER = "apca-api-secret-key";

/** Credentials that a simulator takes unless it is given others; they open nothing else. */
export const SIMULATOR_CREDENTIALS = {
  keyId: "PKSIMULATOR7Q2M4T9R",
  secretKey: "simulator7Jw3nV9cKq5bTz2LxYh8",
} as const;

/** What a request brought along. */
export type Credentials = "valid" | "invalid" | "missing";

/** What to think of the credentials of a request. */
export function judge({ headers }: IncomingMessage, keyId: string, secretKey: string): Credentials {
  const { [KEY_HEADER]: key, [SECRET_HEADER]: secret } = headers;
  if (key === undefined && secret === undefined) return "missing";
  return key === keyId && secret === secretKey ? "valid" : "invalid";
}

/** The headers of a request, names in lower case, with the values of credentials hidden. */
export function withoutCredentials({ headers }: IncomingMessage): Record<string, string> {
  const shown = Object.entries(headers).map(([name, value]) => {
    const isSecret = name === KEY_HEADER || name === SECRET_HEADER || name === "authorization";
    return [name, isSecret ? "[hidden]" : String(value)] as const;
  });
  return Object.fromEntries(shown);
}

/** The answer to a request that is not let in, as its host words it. */
export function refuse(host: SimulatedHost, credentials: Credentials, admitted: boolean): Reply | undefined {
  if (credentials !== "valid") {
    return host === "data"
      ? jsonReply(403, { message: "forbidden." })
      : new ApiProblem(401, 40_110_000, "request is not authorized").toReply();
  }
  if (admitted) return undefined;
  return host === "data"
    ? jsonReply(429, { message: "too many requests." })
    : new ApiProblem(429, 42_910_000, "rate limit exceeded").toReply();
}
