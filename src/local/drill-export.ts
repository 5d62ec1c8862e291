import type { Transition } from "../breaker/state.ts";
import { ATTRIBUTE, BREAKER_EVENT, TRANSITION_SPAN } from "../instruments.ts";
import type { Received } from "./otlp-receiver.ts";

/** What a receiver got of the drill. */
export interface DrillExport {
  readonly spans: readonly { readonly name: string; readonly count: number }[];
  readonly logEvents: readonly { readonly name: string; readonly count: number }[];
  readonly metrics: readonly {
    readonly name: string;
    readonly unit: string;
    readonly points: number;
    readonly total: number | null;
  }[];
  /** What is missing or doubled, in words; empty when every state change arrived exactly once in every signal. */
  readonly problems: readonly string[];
}

/** Reads back what has arrived, and compares it with the state changes that there were. */
export function readBack(received: Received, transitions: readonly Transition[]): DrillExport {
  const problems: string[] = [];
  const eventNames: readonly string[] = Object.values(BREAKER_EVENT);
  for (const { eventId, from, to, reason } of transitions) {
    const spans = received.spans.filter(
      ({ name, attributes }) => name === TRANSITION_SPAN && attributes[ATTRIBUTE.breakerEventId] === eventId,
    );
    const logs = received.logs.filter(
      ({ eventName, attributes }) => eventNames.includes(eventName) && attributes[ATTRIBUTE.breakerEventId] === eventId,
    );
    for (const [signal, count] of [
      ["span", spans.length],
      ["log event", logs.length],
    ] as const) {
      if (count !== 1)
        problems.push(`${from} -> ${to} (${reason}) arrived ${count} times as a ${signal}, expected once`);
    }
  }
  const counted = sum(received, "circuit_breaker.transitions");
  if (counted !== transitions.length) {
    problems.push(`circuit_breaker.transitions counted ${counted}, expected ${transitions.length}`);
  }
  const names = [...new Set(received.points.map(({ name }) => name))];
  return {
    spans: countBy(received.spans.map(({ name }) => name)),
    logEvents: countBy(received.logs.map(({ eventName }) => eventName)),
    metrics: names.map((name) => {
      const points = received.points.filter((point) => point.name === name);
      const isCounter = points[0]?.kind === "sum";
      return {
        name,
        unit: points[0]?.unit ?? "",
        points: points.length,
        total: isCounter ? sum(received, name) : null,
      };
    }),
    problems,
  };
}

function sum(received: Received, name: string): number {
  return received.points.filter((point) => point.name === name).reduce((total, { value }) => total + (value ?? 0), 0);
}

function countBy(names: readonly string[]): { name: string; count: number }[] {
  return [...new Set(names)].map((name) => ({ name, count: names.filter((one) => one === name).length }));
}
