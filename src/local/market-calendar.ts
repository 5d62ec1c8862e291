const DAY_MS = 86_400_000;
const OPEN = "09:30";
const CLOSE = "16:00";
// Close enough for a simulation; the real calendar has moving holidays and half days too.
const HOLIDAYS = ["01-01", "06-19", "07-04", "12-25"];

const newYork = new Intl.DateTimeFormat("en-CA", {
  timeZone: "America/New_York",
  hourCycle: "h23",
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

/** One day on which the simulated market trades; fields as in Alpaca's calendar, times in New York. */
export interface TradingDay {
  readonly date: string;
  readonly open: string;
  readonly close: string;
  readonly session_open: string;
  readonly session_close: string;
  readonly settlement_date: string;
}

/** Alpaca's market clock: timestamps in New York time with their offset. */
export interface MarketClock {
  readonly timestamp: string;
  readonly is_open: boolean;
  readonly next_open: string;
  readonly next_close: string;
}

/** Time from UTC to New York's wall clock at that instant, in ms; negative. */
export function newYorkOffsetMs(timeMs: number): number {
  const parts = Object.fromEntries(newYork.formatToParts(timeMs).map(({ type, value }) => [type, value]));
  const { year, month, day, hour, minute, second } = parts;
  const wallMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return wallMs - Math.floor(timeMs / 1000) * 1000;
}

/** Date in New York at that instant, as YYYY-MM-DD. */
export function newYorkDate(timeMs: number): string {
  return new Date(timeMs + newYorkOffsetMs(timeMs)).toISOString().slice(0, 10);
}

/** Instant of a time of day (HH:MM) in New York, in ms since 1970. */
export function newYorkTimeMs(date: string, time: string): number {
  const wallMs = Date.parse(`${date}T${time}:00Z`);
  // New York changes its offset at 2 am only, so the offset of five hours later is that of any time from 3 am on.
  return wallMs - newYorkOffsetMs(wallMs + 5 * 3_600_000);
}

/** The date a number of days later, or earlier. */
export function addDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

/** Whether the market trades on that date: Monday to Friday, four fixed holidays excepted. */
export function isTradingDate(date: string): boolean {
  const weekday = new Date(`${date}T00:00:00Z`).getUTCDay();
  return weekday !== 0 && weekday !== 6 && !HOLIDAYS.includes(date.slice(5));
}

/** Trading days from `start` to `end`, both included, as YYYY-MM-DD. */
export function tradingDays(start: string, end: string): TradingDay[] {
  const days: TradingDay[] = [];
  for (let date = start; date <= end; date = addDays(date, 1)) {
    if (isTradingDate(date)) {
      days.push({
        date,
        open: OPEN,
        close: CLOSE,
        session_open: "0400",
        session_close: "2000",
        settlement_date: nextTradingDate(date),
      });
    }
  }
  return days;
}

/** The market clock at that instant. */
export function marketClock(timeMs: number): MarketClock {
  const today = newYorkDate(timeMs);
  const closesLater = isTradingDate(today) && timeMs < newYorkTimeMs(today, CLOSE);
  const opensLater = closesLater && timeMs < newYorkTimeMs(today, OPEN);
  const next = nextTradingDate(today);
  return {
    timestamp: newYorkTimestamp(timeMs, "000123"),
    is_open: closesLater && !opensLater,
    next_open: newYorkTimestamp(newYorkTimeMs(opensLater ? today : next, OPEN)),
    next_close: newYorkTimestamp(newYorkTimeMs(closesLater ? today : next, CLOSE)),
  };
}

function nextTradingDate(date: string): string {
  let next = addDays(date, 1);
  while (!isTradingDate(next)) next = addDays(next, 1);
  return next;
}

function newYorkTimestamp(timeMs: number, nanoseconds?: string): string {
  const offsetMs = newYorkOffsetMs(timeMs);
  const wall = new Date(timeMs + offsetMs).toISOString();
  const hours = String(-offsetMs / 3_600_000).padStart(2, "0");
  const fraction = nanoseconds === undefined ? "" : `${wall.slice(19, 23)}${nanoseconds}`;
  return `${wall.slice(0, 19)}${fraction}-${hours}:00`;
}
