import type { Usage } from "./budgets.ts";

export const measures = ["wallMs", "tokens", "costMicros"] as const;
export type Measure = (typeof measures)[number];

export const zeroUsage: Usage = { wallMs: 0, tokens: 0, costMicros: 0 };

/** Cap of a sum: a number that every host can read, so that no report blocks others forever. */
export const maxCounted = Number.MAX_SAFE_INTEGER;

export function sum(a: Usage, b: Usage): Usage {
  return mapMeasures((name) => Math.min(maxCounted, a[name] + b[name]));
}

export function difference(a: Usage, b: Usage): Usage {
  return mapMeasures((name) => a[name] - b[name]);
}

export function maxUsage(a: Usage, b: Usage): Usage {
  return mapMeasures((name) => Math.max(a[name], b[name]));
}

function mapMeasures(amountOf: (name: Measure) => number): Usage {
  return { wallMs: amountOf("wallMs"), tokens: amountOf("tokens"), costMicros: amountOf("costMicros") };
}
