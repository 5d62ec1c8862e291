const TIMESTAMP = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d))?$/i;

/** Nanoseconds since 1970 of an RFC 3339 timestamp or of a date (midnight UTC); null when it is neither. */
export function parseTimeNs(text: string): bigint | null {
  const match = TIMESTAMP.exec(text);
  if (match === null) return null;
  const [, date, time = "00:00:00", fraction = "", zone = "Z"] = match;
  const ms = Date.parse(`${date}T${time}${zone.toUpperCase()}`);
  return Number.isNaN(ms) ? null : BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

/** RFC 3339 in UTC with nine digits of fraction. */
export function formatTimeNs(timeNs: bigint): string {
  const ms = Number(timeNs / 1_000_000n);
  const fraction = String(timeNs % 1_000_000_000n).padStart(9, "0");
  return new Date(ms).toISOString().replace(/\.\d+Z$/, `.${fraction}Z`);
}
