/** Guardrails and plan of a trial: what ends it. Pure. */
import { median } from "simple-statistics";
import { atLeast, moreOften, type Counted } from "./exact-tests.ts";

/**
 * A trial is read at most eight times by up to six guardrails, which together stop a value without
 * harm in at most 3 % of trials.
 */
const alpha = 0.0005;
/** The one reading of the shares of the arms when a canary ends finds smaller deviations. */
const alphaOfSharesAtEnd = 0.01;
/** Odds that weeks may differ by without any harm; arms of one canary may not differ. */
const allowedRatio = { arms: 1, weeks: 2 };
/** Figures of a session, and what is worse. */
export const guardrails = {
  /** 1: it died with tool calls that no checkpoint held. */
  unsavedDeath: "higher",
  /** Score of its brief after a death, 0 to 1. */
  restoreScore: "lower",
  /** Share of its saves above 0.1 s. */
  slowSaves: "higher",
  /** Share of its recoveries above 0.5 s. */
  slowRecoveries: "higher",
  /** Share of its failed tool calls. */
  toolErrors: "higher",
  dollars: "higher",
} as const;
type Guardrail = keyof typeof guardrails;

/** Figures of one session. A missing one has no meaning for it, or could not be measured. */
export type Measured = Partial<Record<Guardrail, number>>;

export interface CanaryUnit {
  readonly isTreated: boolean;
  readonly measured: Measured;
}

type Sampled = Pick<CanaryUnit, "measured">;

/** Mood's median test: whether more of them are worse than the median of both together. */
function findHarm(usual: readonly Sampled[], since: readonly Sampled[], ratio: number): Guardrail | null {
  const found = Object.entries(guardrails).find(([name, worse]) => {
    const read = ({ measured }: Sampled): number[] => {
      const value = measured[name as Guardrail];
      return value === undefined ? [] : [worse === "higher" ? value : -value];
    };
    const [before, after] = [usual.flatMap(read), since.flatMap(read)];
    if (after.length === 0) return false;
    const all = [...before, ...after];
    const middle = median(all);
    // Many may be equal to the median: they count with the side that is nearer to one half.
    const sides = all.filter((value) => value > middle).length + all.filter((value) => value >= middle).length;
    const isHit = (value: number): boolean => (sides < all.length ? value >= middle : value > middle);
    const count = (values: readonly number[]): Counted => ({ n: values.length, hits: values.filter(isHit).length });
    return moreOften(count(before), count(after), ratio) <= alpha;
  });
  return found ? (found[0] as Guardrail) : null;
}

/** Canary of each trial: replay, or the person who starts it, has decided; it shows gross harm. */
export const canary = {
  /** Share of the new sessions; half of them get the new value. */
  share: 0.5,
  sessions: 200,
  maxDays: 28,
} as const;

export const watchDays = 7;

/** Sessions at the next reading: the tenth, and whenever they have doubled. */
export function nextReading(read: number): number {
  return Math.max(10, 2 * read);
}

export type CanaryVerdict = "running" | "better" | "undecided" | { readonly violated: string };

/** @param units in the order of assignment */
export function judgeCanary(units: readonly CanaryUnit[], days: number): CanaryVerdict {
  const isWhole = units.length >= canary.sessions;
  const isOver = isWhole || days >= canary.maxDays;
  const treated = units.filter(({ isTreated }) => isTreated);
  const control = units.filter(({ isTreated }) => !isTreated);
  const largest = Math.max(treated.length, control.length);
  if (2 * atLeast(largest, units.length, 0.5) <= (isOver ? alphaOfSharesAtEnd : alpha))
    return { violated: "sampleRatio" };
  const violated = findHarm(control, treated, allowedRatio.arms);
  if (violated !== null) return { violated };
  // Too few sessions have shown no harm: that is no proof of none.
  if (isOver) return isWhole ? "better" : "undecided";
  return "running";
}

/** Sessions since a deployment against those before it without the value. */
export function judgeWatch(before: readonly Sampled[], since: readonly Sampled[]): Guardrail | null {
  return findHarm(before, since, allowedRatio.weeks);
}
