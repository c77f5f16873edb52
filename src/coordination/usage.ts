import type { Usage } from "../contract/budgets.ts";

/** Figures of what work has used. Pure. */

export const measures = ["wallMs", "tokens", "costMicros"] as const;
export type Measure = (typeof measures)[number];

export const nothing: Usage = { wallMs: 0, tokens: 0, costMicros: 0 };

/** Whatever is told, a sum stays a number that every host can read: nobody's figures keep the others from work for ever. */
export const mostCounted = Number.MAX_SAFE_INTEGER;

export function sum(a: Usage, b: Usage): Usage {
  return each((name) => Math.min(mostCounted, a[name] + b[name]));
}

export function difference(a: Usage, b: Usage): Usage {
  return each((name) => a[name] - b[name]);
}

/** One figure after the other: never less than before. */
export function most(a: Usage, b: Usage): Usage {
  return each((name) => Math.max(a[name], b[name]));
}

function each(of: (name: Measure) => number): Usage {
  return { wallMs: of("wallMs"), tokens: of("tokens"), costMicros: of("costMicros") };
}
