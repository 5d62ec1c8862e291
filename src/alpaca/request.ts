import * as v from "valibot";
import { AlpacaError, type AlpacaErrorKind } from "../errors.ts";
import { urlTemplate } from "./route.ts";
import * as schemas from "./schemas.ts";

export type Query = Readonly<Record<string, string | undefined>>;

interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly schema: keyof typeof schemas | null;
  readonly isList: boolean;
  /** Whether the market data host was asked, whose 403 is about keys or the data plan. */
  readonly isData?: boolean;
  /** Values that no error may show, whatever the answer repeats. */
  readonly secrets: readonly string[];
}

const MOST_SAID = 500;

/** The checked body of a good answer. @throws {AlpacaError} for any other. */
export async function readAnswer(response: Response, asked: Asked): Promise<unknown> {
  const { status } = response;
  const context = {
    method: asked.method,
    urlTemplate: urlTemplate(asked.url.pathname),
    status,
    requestId: oneLine(response.headers.get("x-request-id") ?? "", 64) || null,
  };
  const text = await response.text();
  const body = parse(text);
  if (status < 200 || status > 299) {
    const failure = describeFailure(response, text, body, asked.isData ?? false);
    const message = asked.secrets.reduce((shown, secret) => shown.replaceAll(secret, "[hidden]"), failure.message);
    throw new AlpacaError({ ...context, ...failure, message });
  }
  if (asked.schema === null && text === "") return undefined;
  if (body === undefined) {
    const message = `Alpaca answered ${status} with ${shape(response, text)} where JSON was due`;
    throw new AlpacaError({ ...context, kind: "unavailable", message });
  }
  if (asked.schema === null) return undefined;
  // biome-ignore lint/performance/noDynamicNamespaceImportAccess: nothing is bundled here
  const schema: v.GenericSchema = schemas[asked.schema];
  const parsed = v.safeParse(asked.isList ? v.array(schema) : schema, body);
  if (parsed.success) return parsed.output;
  throw new AlpacaError({ ...context, kind: "schema", message: describeIssues(parsed.issues) });
}

function describeFailure(response: Response, text: string, body: unknown, isData: boolean) {
  const { status } = response;
  const error = v.safeParse(schemas.ErrorBody, body);
  const code = error.success ? (error.output.code ?? null) : null;
  const said = error.success && error.output.message ? oneLine(error.output.message, MOST_SAID) : undefined;
  const kind = kindOf(response.status, isData);
  const facts = [`Alpaca answered ${status}`, code === null ? "" : ` (${code})`];
  const message = `${facts.join("")}: ${explain(kind, status, said ?? shape(response, text))}`;
  return { kind, code, message };
}

function kindOf(status: number, isData: boolean): AlpacaErrorKind {
  if (status === 401 || (status === 403 && isData)) return "credentials";
  if (status === 429) return "throttled";
  if (status >= 500 || status === 408) return "unavailable";
  return status < 400 ? "redirect" : "rejected";
}

function explain(kind: AlpacaErrorKind, status: number, said: string): string {
  if (kind === "credentials" && status === 401) {
    return `${said}; check that ALPACA_API_KEY and ALPACA_API_SECRET belong to the account of ALPACA_BASE_URL`;
  }
  if (kind === "redirect") return `a redirect, which is not followed: check ALPACA_BASE_URL`;
  return said;
}

/** A body in a few words: never its text, which may be anything. */
function shape(response: Response, text: string): string {
  const type = response.headers.get("content-type")?.split(";")[0]?.trim();
  if (text === "") return "an empty body";
  if (type && /^[a-z]+\/[a-z0-9.+-]{1,40}$/i.test(type)) return `${text.length} characters of ${type}`;
  return `${text.length} characters`;
}

const KIND: Readonly<Record<string, string>> = {
  Object: "an object",
  Array: "a list",
  string: "text",
  boolean: "true or false",
  number: "a number",
};

function describeIssues(issues: [v.BaseIssue<unknown>, ...v.BaseIssue<unknown>[]]): string {
  const fields = issues.map((issue) => {
    const path = v.getDotPath(issue) ?? "the body";
    if (issue.received === "undefined") return `${path} is missing`;
    // valibot's own messages quote what was received; ours do not.
    const kind = issue.message.startsWith("Invalid")
      ? (KIND[issue.expected ?? ""] ?? "of another form")
      : issue.message;
    return `${path} should be ${kind}`;
  });
  const shown = fields.slice(0, 3).join(", ");
  const more = fields.length > 3 ? `, and ${fields.length - 3} more` : "";
  return `the answer is not as expected: ${shown}${more}`;
}

/** Words of the other side in one line of bearable length, without what would steer a terminal. */
function oneLine(text: string, most: number): string {
  const plain = text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]+/gu, " ").trim();
  return plain.length > most ? `${plain.slice(0, most)}…` : plain;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
