import * as v from "valibot";
import { type BreakerRecord, type Hold, NEW_RECORD } from "../breaker/state.ts";
import { NewerSchemaError } from "./store.ts";

/** Version of a row's form; a row of another one is not touched. */
export const ROW_VERSION = 1;

const ms = v.pipe(v.number(), v.finite(), v.minValue(0));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const outage = {
  openedAtMs: ms,
  cooldownMs: v.pipe(ms, v.maxValue(7 * 86_400_000)),
  attempt: v.pipe(count, v.minValue(1)),
  outageStartedAtMs: ms,
  cause: v.nullable(v.string()),
};
const probe = v.object({ id: v.string(), grantedAtMs: ms, leaseMs: v.pipe(ms, v.maxValue(86_400_000)) });

const Automatic = v.variant("state", [
  v.object({ state: v.literal("closed"), failures: count, lastFailureAtMs: v.nullable(ms) }),
  v.object({ state: v.literal("open"), ...outage }),
  v.object({ state: v.literal("half_open"), successes: count, probe: v.nullable(probe), ...outage }),
]);

const Row = v.object({
  version: v.literal(ROW_VERSION),
  generation: count,
  lastOpenedAtMs: v.nullable(ms),
  automatic: Automatic,
});

const HoldRow = v.object({ reason: v.string(), by: v.string(), atMs: ms });

/** A record as text, without the operator's hold, which is kept apart. */
export function writeRow({ generation, lastOpenedAtMs, automatic }: BreakerRecord): string {
  return JSON.stringify({ version: ROW_VERSION, generation, lastOpenedAtMs, automatic });
}

/**
 * Reads a record and the hold over it; null when the text is no record, whatever it is. A hold that cannot be read
 * holds all the same, until it is released: somebody wanted no call to pass.
 *
 * @throws {NewerSchemaError} for a row of a newer version.
 */
export function readRow(text: string | null, hold: unknown): BreakerRecord | null {
  const held: Hold | null = hold === null ? null : (parse(HoldRow, hold) ?? UNREADABLE_HOLD);
  if (text === null) return { ...NEW_RECORD, hold: held };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  const version = (json as { version?: unknown } | null)?.version;
  if (typeof version === "number" && version > ROW_VERSION) {
    throw new NewerSchemaError(`a row has version ${version}, and this toolkit knows ${ROW_VERSION}; upgrade it`);
  }
  const row = parse(Row, json);
  if (row === null) return null;
  const { generation, lastOpenedAtMs, automatic } = row;
  return { generation, lastOpenedAtMs, automatic, hold: held };
}

const UNREADABLE_HOLD: Hold = { reason: "a hold that cannot be read", by: "unknown", atMs: 0 };

function parse<S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> | null {
  const parsed = v.safeParse(schema, value);
  return parsed.success ? parsed.output : null;
}
