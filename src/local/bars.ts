import { addDays, isTradingDate, newYorkDate, newYorkTimeMs } from "./market-calendar.ts";
import { formatTimeNs, parseTimeNs } from "./nanosecond-time.ts";
import { ApiProblem } from "./reply.ts";
import { seededRandom } from "./seeded-random.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const RECENT_SIP_MS = 15 * MINUTE_MS;
const UNIT_MS: Readonly<Record<string, number>> = { Min: MINUTE_MS, T: MINUTE_MS, Hour: HOUR_MS, H: HOUR_MS };

/** A bar as the data host gives it; numbers, unlike those of the trading host. */
export interface Bar {
  readonly t: string;
  readonly o: number;
  readonly h: number;
  readonly l: number;
  readonly c: number;
  readonly v: number;
  readonly n: number;
  readonly vw: number;
}

export interface BarPage {
  readonly symbol: string;
  readonly bars: readonly Bar[];
  readonly next_page_token: string | null;
}

interface BarQuery {
  readonly symbol: string;
  readonly timeframe: string;
  /** Length of a bar; null for a bar a day. */
  readonly barMs: number | null;
  readonly startMs: number;
  readonly endMs: number;
  readonly limit: number;
  readonly sort: string;
  /** Time of the last bar of the page before. */
  readonly afterMs: number | null;
}

/**
 * One page of bars: regular hours of trading days, the same for the same symbol and time whenever they are asked for.
 * Takes `timeframe` (minutes, hours or 1Day), `start` and `end` (both included; default today so far), `limit`
 * (default 1000), `sort` and `page_token`. Throws ApiProblem for what it cannot use.
 */
export function barPage(symbol: string, parameters: URLSearchParams, nowMs: number): BarPage {
  const query = parseBarQuery(symbol, parameters, nowMs);
  const bars: Bar[] = [];
  for (const timeMs of barTimes(query)) {
    if (bars.length === query.limit) return { symbol, bars, next_page_token: pageToken(query, bars.at(-1)!.t) };
    bars.push(barAt(symbol, timeMs));
  }
  return { symbol, bars, next_page_token: null };
}

function parseBarQuery(symbol: string, parameters: URLSearchParams, nowMs: number): BarQuery {
  const timeframe = parameters.get("timeframe") ?? "";
  const [, count, unit] = /^(\d{1,2})(Min|T|Hour|H|Day|D)$/.exec(timeframe) ?? [];
  if (count === undefined || unit === undefined || Number(count) === 0) {
    throw invalid(`invalid timeframe: ${timeframe || "missing"}`);
  }
  if (unit.startsWith("D") && Number(count) !== 1) throw invalid(`invalid timeframe: ${timeframe}`);
  const limit = Number(parameters.get("limit") ?? 1000);
  if (!Number.isInteger(limit) || limit < 1 || limit > 10_000) throw invalid("limit must be from 1 to 10000");
  const sort = parameters.get("sort") ?? "asc";
  if (sort !== "asc" && sort !== "desc") throw invalid(`invalid sort: ${sort}`);
  const unitMs = UNIT_MS[unit];
  const query = {
    symbol,
    timeframe,
    barMs: unitMs === undefined ? null : Number(count) * unitMs,
    startMs: timeOf(parameters, "start") ?? newYorkTimeMs(newYorkDate(nowMs), "00:00"),
    endMs: timeOf(parameters, "end") ?? nowMs,
    limit,
    sort,
    afterMs: null,
  };
  if (query.endMs < query.startMs) throw invalid("end should not be before start");
  if (parameters.get("feed") === "sip" && query.endMs > nowMs - RECENT_SIP_MS) {
    throw new ApiProblem(403, undefined, "subscription does not permit querying recent SIP data");
  }
  return { ...query, afterMs: readToken(query, parameters.get("page_token")) };
}

function timeOf(parameters: URLSearchParams, name: string): number | undefined {
  const text = parameters.get(name);
  if (text === null) return undefined;
  const timeNs = parseTimeNs(text);
  if (timeNs === null) throw invalid(`invalid ${name}: ${text}`);
  return Number(timeNs / 1_000_000n);
}

function pageToken({ symbol, timeframe, sort }: BarQuery, lastTime: string): string {
  return btoa(`${symbol}|${timeframe}|${sort}|${lastTime}`);
}

function readToken(query: BarQuery, token: string | null): number | null {
  if (token === null || token === "") return null;
  let text = "";
  try {
    text = atob(token);
  } catch {
    // Not base64; the comparison below says so.
  }
  const lastTime = text.split("|").at(-1) ?? "";
  const timeNs = parseTimeNs(lastTime);
  // A token of other parameters would give a page that belongs to another list.
  if (timeNs === null || token !== pageToken(query, lastTime)) throw invalid("invalid page_token");
  return Number(timeNs / 1_000_000n);
}

function* barTimes({ barMs, startMs, endMs, sort, afterMs }: BarQuery): Generator<number> {
  const ascending = sort === "asc";
  const firstMs = ascending ? Math.max(startMs, (afterMs ?? startMs - 1) + 1) : startMs;
  const lastMs = ascending ? endMs : Math.min(endMs, (afterMs ?? endMs + 1) - 1);
  if (firstMs > lastMs) return;
  const [from, to] = [newYorkDate(firstMs), newYorkDate(lastMs)];
  for (let date = ascending ? from : to; date >= from && date <= to; date = addDays(date, ascending ? 1 : -1)) {
    if (!isTradingDate(date)) continue;
    const times = timesOfDay(date, barMs).filter((timeMs) => timeMs >= firstMs && timeMs <= lastMs);
    yield* ascending ? times : times.reverse();
  }
}

function timesOfDay(date: string, barMs: number | null): number[] {
  if (barMs === null) return [newYorkTimeMs(date, "00:00")];
  const closeMs = newYorkTimeMs(date, "16:00");
  const times: number[] = [];
  for (let timeMs = newYorkTimeMs(date, "09:30"); timeMs < closeMs; timeMs += barMs) times.push(timeMs);
  return times;
}

function barAt(symbol: string, timeMs: number): Bar {
  const random = seededRandom(`${symbol} ${timeMs}`);
  const base = 20 + seededRandom(symbol)() * 400;
  const [open, close] = [base * (0.98 + random() * 0.04), base * (0.98 + random() * 0.04)];
  const volume = 1_000 + Math.floor(random() * 100_000);
  return {
    t: formatTimeNs(BigInt(timeMs) * 1_000_000n).replace(".000000000", ""),
    o: cents(open),
    h: cents(Math.max(open, close) * 1.002),
    l: cents(Math.min(open, close) * 0.998),
    c: cents(close),
    v: volume,
    n: Math.ceil(volume / 80),
    vw: Math.round(((open + close) / 2) * 1e6) / 1e6,
  };
}

function cents(price: number): number {
  return Math.round(price * 100) / 100;
}

function invalid(message: string): ApiProblem {
  return new ApiProblem(400, undefined, message);
}
