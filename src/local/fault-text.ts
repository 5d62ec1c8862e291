import { checkFault, type Fault } from "./faults.ts";

const FORMS =
  "STATUS, throttle[:SECONDS], delay:MS, hang, reset, truncated, garbage, redirect:URL or clock:MS (such as 503 or delay:2000)";

/** Reads a fault as a person types it: `503`, `throttle:30`, `delay:2000`, `hang`, `redirect:http://…`, `clock:-90000`. */
export function parseFault(text: string): Fault {
  const colon = text.indexOf(":");
  const [kind, value] = colon < 0 ? [text, ""] : [text.slice(0, colon), text.slice(colon + 1)];
  const fault = readFault(kind, value);
  if (fault === undefined) throw new TypeError(`Cannot read fault ${JSON.stringify(text)}: expected ${FORMS}`);
  checkFault(fault);
  return fault;
}

function readFault(kind: string, value: string): Fault | undefined {
  const number = /^-?\d+$/.test(value) ? Number(value) : undefined;
  if (number !== undefined) {
    if (kind === "throttle") return { kind, resetSeconds: number };
    if (kind === "delay") return { kind, delayMs: number };
    return kind === "clock" ? { kind, offsetMs: number } : undefined;
  }
  if (value !== "") return kind === "redirect" ? { kind, to: value } : undefined;
  if (kind === "throttle" || kind === "hang" || kind === "reset" || kind === "truncated") return { kind };
  if (kind === "garbage") return { kind, format: "html" };
  if (!/^[45]\d\d$/.test(kind)) return undefined;
  return { kind: "status", status: Number(kind) };
}
