import type { Finding } from "../../contract/machine/learning.ts";
import type { OpportunityPattern } from "../../contract/opportunities.ts";
import { atLeast, shareInterval } from "../exact-tests.ts";
import { findParameter, lowersSafety, nextValue } from "../parameters.ts";

type Direction = NonNullable<Finding["direction"]>;

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

/** The rest of a finding, made only where there is one. Its texts may have the user's subject. */
export interface Found extends Pick<Finding, "title" | "text" | "advice"> {
  readonly figures?: Readonly<Record<string, number>>;
  /** Absent: no setting that SHIM may change answers to it. */
  readonly step?: Step;
  readonly direction?: Direction;
  readonly expected?: NonNullable<Finding["expected"]>;
  readonly test?: Finding["test"];
  readonly basis?: Finding["confidence"]["basis"];
}

export interface ShareTest extends Pick<Examined, "pattern" | "subject" | "minimum"> {
  readonly hits: number;
  readonly n: number;
  /** Share of hits up to which nothing is wrong. */
  readonly usual: number;
  /** @param counted such as `3 of 8` */
  readonly toFinding: (counted: string) => Found;
}

/** Exact test that the share of hits is above the usual one. */
export function examineShare({ pattern, subject, minimum, hits, n, usual, toFinding }: ShareTest): Examined {
  return {
    pattern,
    subject,
    n,
    minimum,
    pValue: atLeast(hits, n, usual),
    toFinding: () => {
      const { low, high } = shareInterval(hits, n);
      const found = toFinding(`${hits} of ${n}`);
      const bounds = `That is ${percent(hits / n)} (95 % interval ${percent(low)} to ${percent(high)}); up to ${percent(usual)} is usual.`;
      return {
        ...found,
        text: `${found.text} ${bounds}`,
        figures: { hits, share: hits / n, low, high, usual, ...found.figures },
      };
    },
  };
}

export interface Step {
  readonly parameter: string;
  readonly from: number;
  /** Absent (null) at the bound of what SHIM would try. */
  readonly to: number | null;
  readonly direction: Direction;
  /** More may be lost: it is only suggested. */
  readonly isForPerson: boolean;
  readonly test: Finding["test"];
}

/** One step of a parameter. */
export function stepOf(from: unknown, key: string, direction: Direction): Step {
  const parameter = findParameter(key);
  if (!parameter || typeof from !== "number") throw new Error(`${key} is no parameter.`);
  const to = nextValue(parameter, from, direction);
  const isForPerson = to !== null && lowersSafety(parameter, from, to);
  const test = to === null || isForPerson ? "person" : parameter.method;
  return { parameter: key, from, to, direction, isForPerson, test };
}

/** The share of cases that a step would have changed, with its interval. */
export function sharePrevented(hits: number, n: number): NonNullable<Finding["expected"]> {
  return { figure: "sharePrevented", value: hits / n, ...shareInterval(hits, n) };
}

/** @param isFirst false: a more certain finding moves the setting, so this one has no next value */
export function toFinding(
  { pattern, subject, n, toFinding: make }: Examined,
  pValue: number,
  windowMs: number,
  isFirst: (key: string) => boolean,
): Finding {
  const {
    figures = {},
    step,
    expected = null,
    direction = null,
    test = "person",
    basis = "measured",
    ...texts
  } = make();
  const finding = {
    id: `${pattern}:${subject}`,
    pattern,
    subject,
    evidence: { n, windowMs, figures },
    parameter: null,
    from: null,
    to: null,
    direction,
    test,
    expected,
    confidence: { pValue, basis },
    ...texts,
  };
  return step ? withStep(finding, step, isFirst) : finding;
}

function withStep(finding: Finding, step: Step, isFirst: (key: string) => boolean): Finding {
  const { parameter, from, direction, isForPerson } = step;
  const { n, windowMs, figures } = finding.evidence;
  const to = step.to !== null && !isForPerson && isFirst(parameter) ? step.to : null;
  const suggested = isForPerson && step.to !== null ? { suggested: step.to } : {};
  return {
    ...finding,
    parameter,
    from,
    to,
    direction,
    test: to === null ? "person" : step.test,
    evidence: { n, windowMs, figures: { ...figures, ...suggested } },
    advice: `${stepText(step, to, finding.expected)}${finding.advice}`,
  };
}

const judges: Readonly<Record<Finding["test"], string>> = {
  replay: "replay of your sessions",
  simulation: "simulation",
  person: "you",
};

function stepText(
  { parameter, from, to, isForPerson, test }: Step,
  next: number | null,
  expected: Finding["expected"],
) {
  if (next !== null) return `Try ${parameter} ${from} -> ${next}, judged by ${judges[test]}${expectedText(expected)}. `;
  if (!isForPerson) return `${parameter} is ${from}, at the bound of what SHIM would try. `;
  return `You decide: ${parameter} ${from} -> ${to} may cost safety, so SHIM does not try it${expectedText(expected)}. `;
}

const expectedFigures: Readonly<Record<NonNullable<Finding["expected"]>["figure"], string>> = {
  sharePrevented: "share of these cases that it would have changed",
  toolCallsLost: "change of the tool calls that a death loses",
};

function expectedText(expected: Finding["expected"]): string {
  if (expected === null) return "";
  const { figure, value, low, high } = expected;
  const format = figure === "sharePrevented" ? percent : round;
  return `; expected ${expectedFigures[figure]}: ${format(value)} (${format(low)} to ${format(high)})`;
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

export function round(value: number): string {
  return value.toFixed(1);
}

export function time(ms: number): string {
  return ms < 60_000 ? `${Math.round(ms / 1_000)} s` : `${Math.round(ms / 60_000)} min`;
}
