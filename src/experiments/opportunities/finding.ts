import type { Finding } from "../../contract/machine/learning.ts";
import type { OpportunityPattern } from "../../contract/opportunities.ts";
import { settingAt } from "../../shared/setting-keys.ts";
import type { Config } from "../../contract/config.ts";
import { findParameter, lowersSafety, nextValue } from "../parameters.ts";
import { atLeast, shareInterval } from "./exact-tests.ts";

export type Direction = NonNullable<Finding["direction"]>;
export type Expected = NonNullable<Finding["expected"]>;

/** One test of one pattern, whether or not it found something. */
export interface Examined {
  readonly pattern: OpportunityPattern;
  readonly subject: string;
  readonly n: number;
  /** Below it nothing is tested. */
  readonly minimum: number;
  readonly pValue: number;
  readonly toFinding: () => Found;
}

/** The rest of a finding, made only where there is one. */
export type Found = Pick<Finding, "parameter" | "from" | "to" | "direction" | "expected" | "test"> & {
  readonly figures: Readonly<Record<string, number>>;
  readonly basis?: Finding["confidence"]["basis"];
};

export interface ShareTest extends Pick<Examined, "pattern" | "subject" | "minimum" | "toFinding"> {
  readonly hits: number;
  readonly n: number;
  /** Share of hits up to which nothing is wrong. */
  readonly usual: number;
}

/** Exact test that the share of hits is above the usual one. */
export function examineShare({ pattern, subject, minimum, hits, n, usual, toFinding }: ShareTest): Examined {
  const { low, high } = n === 0 ? { low: 0, high: 1 } : shareInterval(hits, n);
  const figures = { hits, share: hits / n, low, high, usual };
  return {
    pattern,
    subject,
    n,
    minimum,
    pValue: atLeast(hits, n, usual),
    toFinding: () => {
      const found = toFinding();
      return { ...found, figures: { ...figures, ...found.figures } };
    },
  };
}

type Step = Pick<Finding, "parameter" | "from" | "to" | "direction" | "test"> & {
  readonly figures: Readonly<Record<string, number>>;
};

/** One step of a parameter; a step that may cost safety is only suggested. */
export function stepOf(config: Config, key: string, direction: Direction): Step {
  const parameter = findParameter(key);
  const from = settingAt(config, key);
  if (!parameter || typeof from !== "number") throw new Error(`${key} is no parameter.`);
  const to = nextValue(parameter, from, direction);
  const isSafe = to !== null && !lowersSafety(parameter, from, to);
  return {
    parameter: key,
    from,
    to: isSafe ? to : null,
    direction,
    test: isSafe ? parameter.method : "person",
    figures: to === null || isSafe ? {} : { suggested: to },
  };
}

/** A value to compute with, whether or not a person must decide. */
export function steppedTo({ to, figures }: Step): number | null {
  return to ?? figures["suggested"] ?? null;
}

/** No setting that SHIM may change. */
export function byPerson(direction: Direction | null, figures: Readonly<Record<string, number>>): Found {
  return { parameter: null, from: null, to: null, direction, expected: null, test: "person", figures };
}
