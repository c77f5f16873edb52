import type { Finding } from "../../contract/machine/learning.ts";
import type { OpportunityPattern } from "../../contract/opportunities.ts";
import { atLeast, shareInterval } from "../exact-tests.ts";
import { findParameter, lowersSafety, nextValue, type Parameter } from "../parameters.ts";

type Expected = NonNullable<Finding["expected"]>;
type Figures = Readonly<Record<string, number>>;

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
  readonly figures?: Figures;
  /** Absent: no setting that SHIM may change answers to it. */
  readonly step?: Step | undefined;
  /** Direction in which a person may change a setting. */
  readonly direction?: "up" | "down";
  readonly expected?: Expected | undefined;
  readonly basis?: Finding["confidence"]["basis"];
}

interface ShareTest<Case>
  extends Pick<Examined, "pattern" | "subject" | "minimum">, Omit<Found, "text" | "figures" | "expected"> {
  readonly cases: readonly Case[];
  readonly isHit: (one: Case) => boolean;
  /** Share of hits up to which nothing is wrong. */
  readonly usual: number;
  /** @param counted such as `3 of 8` */
  readonly text: (counted: string, hits: readonly Case[]) => string;
  readonly figures?: (hits: readonly Case[]) => Figures;
  /** Whether the value of the step would have changed it. */
  readonly prevents?: (hit: Case, to: number) => boolean;
}

/** Exact test that the share of hits is above the usual one. */
export function examineShare<Case>(test: ShareTest<Case>): Examined {
  const { pattern, subject, minimum, cases, isHit, usual, text, figures, prevents, ...found } = test;
  const hits = cases.filter(isHit);
  const n = cases.length;
  return {
    pattern,
    subject,
    n,
    minimum,
    pValue: atLeast(hits.length, n, usual),
    toFinding: () => {
      const share = hits.length / n;
      const { low, high } = shareInterval(hits.length, n);
      const bounds = `That is ${percent(share)} (95 % interval ${percent(low)} to ${percent(high)}); up to ${percent(usual)} is usual.`;
      const to = found.step?.to ?? null;
      const prevented = prevents && to !== null ? hits.filter((hit) => prevents(hit, to)).length : null;
      return {
        ...found,
        text: `${text(`${hits.length} of ${n}`, hits)} ${bounds}`,
        figures: { hits: hits.length, share, low, high, usual, ...figures?.(hits) },
        expected:
          prevented === null
            ? undefined
            : {
                figure: "sharePrevented",
                value: prevented / hits.length,
                ...shareInterval(prevented, hits.length),
              },
      };
    },
  };
}

export interface Step {
  readonly parameter: string;
  readonly from: number;
  /** Absent (null) at the bound of what SHIM would try. */
  readonly to: number | null;
  readonly direction: "up" | "down";
  /** More may be lost: it is only suggested. */
  readonly isForPerson: boolean;
  readonly method: Parameter["method"];
}

/** One step of a parameter. */
export function stepOf(from: unknown, key: string, direction: "up" | "down"): Step {
  const parameter = findParameter(key);
  if (!parameter || typeof from !== "number") throw new Error(`${key} is no parameter.`);
  const to = nextValue(parameter, from, direction);
  const isForPerson = to !== null && lowersSafety(parameter, from, to);
  return { parameter: key, from, to, direction, isForPerson, method: parameter.method };
}

/** @param isFirst false: a more certain finding moves the setting, so this one has no next value */
export function toFinding(
  { pattern, subject, n, toFinding: make }: Examined,
  pValue: number,
  windowMs: number,
  isFirst: (key: string) => boolean,
): Finding {
  const { figures = {}, step, expected = null, direction = null, basis = "measured", ...texts } = make();
  const finding: Finding = {
    id: `${pattern}:${subject}`,
    pattern,
    subject,
    evidence: { n, windowMs, figures },
    parameter: null,
    from: null,
    to: null,
    direction,
    test: "person",
    expected,
    confidence: { pValue, basis },
    ...texts,
  };
  if (!step) return finding;
  const { parameter, from, isForPerson, method } = step;
  const suggested = isForPerson && step.to !== null ? { suggested: step.to } : {};
  const to = step.to !== null && !isForPerson && isFirst(parameter) ? step.to : null;
  return {
    ...finding,
    evidence: { n, windowMs, figures: { ...figures, ...suggested } },
    parameter,
    from,
    to,
    direction: step.direction,
    test: to === null ? "person" : method,
    advice: `${stepText(step, to, expected)}${texts.advice}`,
  };
}

const judges: Readonly<Record<Parameter["method"], string>> = {
  replay: "replay of your sessions",
  simulation: "simulation",
  person: "you",
};

function stepText({ parameter, from, to, isForPerson, method }: Step, next: number | null, expected: Expected | null) {
  const effect = expected ? expectedText(expected) : "";
  if (next !== null) return `Try ${parameter} ${from} -> ${next}, judged by ${judges[method]}${effect}. `;
  if (!isForPerson) return `${parameter} is ${from}, at the bound of what SHIM would try. `;
  return `You decide: ${parameter} ${from} -> ${to} may cost safety, so SHIM does not try it${effect}. `;
}

function expectedText({ figure, value, low, high }: Expected): string {
  const [what, format] =
    figure === "sharePrevented"
      ? ["share of these cases that it would have changed", percent]
      : ["change of the tool calls that a death loses", round];
  return `; expected ${what}: ${format(value)} (${format(low)} to ${format(high)})`;
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

export function round(value: number): string {
  return value.toFixed(1);
}
