/** What the simulator answers; rate limit, request id and date are added to it. */
export interface Reply {
  readonly status: number;
  readonly contentType: string;
  /** Empty for an answer without a body. */
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request that is answered with an error envelope. */
export class ApiProblem extends Error {
  override readonly name = "ApiProblem";
  readonly status: number;
  /** Alpaca's own code; the data host gives none. */
  readonly code: number | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(status: number, code: number | undefined, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }

  toReply(): Reply {
    return jsonReply(this.status, { code: this.code, message: this.message, ...this.details });
  }
}

/** A parameter or field that cannot be used: 422 with code 42210000. */
export function unprocessable(message: string): ApiProblem {
  return new ApiProblem(422, 42_210_000, message);
}

export function jsonReply(status: number, value: unknown): Reply {
  return { status, contentType: "application/json; charset=UTF-8", body: JSON.stringify(value) };
}

const GATEWAY_TITLE: Readonly<Record<number, string>> = {
  502: "502 Bad Gateway",
  503: "503 Service Temporarily Unavailable",
  504: "504 Gateway Time-out",
};

/** Whether such a status comes from the gateway in front of Alpaca, as HTML. */
export function isGatewayStatus(status: number): boolean {
  return status in GATEWAY_TITLE;
}

/** The HTML page of an nginx gateway. */
export function gatewayReply(status: number): Reply {
  const title = GATEWAY_TITLE[status] ?? String(status);
  const lines = [
    "<html>",
    `<head><title>${title}</title></head>`,
    "<body>",
    `<center><h1>${title}</h1></center>`,
    "<hr><center>nginx</center>",
    "</body>",
    "</html>",
    "",
  ];
  return { status, contentType: "text/html", body: lines.join("\r\n") };
}

const PROBLEM: Readonly<Record<number, readonly [code: number, message: string]>> = {
  400: [40_010_000, "request is malformed"],
  401: [40_110_000, "request is not authorized"],
  403: [40_310_000, "insufficient buying power"],
  404: [40_410_000, "resource not found"],
  422: [42_210_000, "request cannot be processed"],
  429: [42_910_000, "rate limit exceeded"],
  500: [50_010_000, "internal server error occurred"],
};

/** The answer that a status usually has: HTML for 502, 503 and 504, an error envelope for the rest. */
export function statusReply(status: number, code?: number, message?: string): Reply {
  if (isGatewayStatus(status) && code === undefined && message === undefined) return gatewayReply(status);
  const [usualCode, usualMessage] = PROBLEM[status] ?? [status * 100_000 + 10_000, `status ${status}`];
  return jsonReply(status, { code: code ?? usualCode, message: message ?? usualMessage });
}
