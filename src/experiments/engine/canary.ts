import { atLeast, shareInterval } from "../opportunities/exact-tests.ts";
import { observe, startSequence, type SequenceState } from "../statistics/betting.ts";
import { rate, spread } from "../statistics/distribution.ts";
import {
  judge,
  observeUnit,
  startRandomized,
  type Judgement,
  type RandomizedPlan,
  type RandomizedState,
  type Randomization,
} from "../statistics/effect.ts";
import { isViolated, type LimitGuardrail } from "../statistics/guardrail.ts";
import { planAgainstControl, planLimit, planRandomized } from "../statistics/plan.ts";
import { isImbalanced } from "../statistics/sample-ratio.ts";

/** Outcomes of one session. A missing one has no meaning for it, or could not be measured. */
export const measures = [
  /** 1: it died with tool calls that no checkpoint held. */
  "unsavedDeath",
  /** Score of its brief after a death, 0 to 1. */
  "restoreScore",
  /** Shares of its saves above 0.1 s, of its recoveries above 0.5 s, of its failed tool calls. */
  "slowSaves",
  "slowRecoveries",
  "toolErrors",
  "dollars",
  /** Facts of the brief it was given that it read or ran again. */
  "rediscovery",
] as const;
export type Measure = (typeof measures)[number];
export type Measured = Partial<Record<Measure, number>>;

/** Outcomes of sessions without the new value; a measure that none of them had is absent. */
export type Past = Partial<Record<Measure, { readonly n: number; readonly mean: number }>>;

export function pastOf(sessions: readonly Measured[]): Past {
  const summary = measures.map((measure) => {
    const values = sessions.flatMap((one) => one[measure] ?? []);
    const mean = values.reduce((total, value) => total + value, 0) / values.length;
    return [measure, { n: values.length, mean }] as const;
  });
  return Object.fromEntries(summary.filter(([, { n }]) => n > 0));
}

export interface CanaryUnit {
  readonly isTreated: boolean;
  readonly measured: Measured;
}

interface PlannedLimit {
  readonly measure: Measure;
  readonly kind: "limit";
  readonly plan: LimitGuardrail;
}

interface PlannedControl {
  readonly measure: Measure;
  readonly kind: "control";
  readonly plan: Randomization;
}

/** Fixed before the start. */
export interface CanaryPlan {
  /** Share of new sessions in the experiment; half of them get the new value. */
  readonly share: number;
  /** False: all have the new value. */
  readonly isRandomized: boolean;
  readonly units: number;
  readonly maxDays: number;
  /** Absent where replay has decided: the canary only watches the guardrails then. */
  readonly primary: { readonly measure: Measure; readonly plan: RandomizedPlan } | null;
  readonly guardrails: readonly (PlannedLimit | PlannedControl)[];
}

/** Stored as JSON; bounded by the candidates of the plan. */
export interface CanaryState {
  /** Units in each arm, control first. */
  readonly counts: readonly [number, number];
  readonly primary: RandomizedState | null;
  readonly guardrails: readonly (SequenceState | RandomizedState)[];
  readonly violated: string | null;
}

const probability = 0.5;
const power = 0.8;
/** Six guardrails together stop an arm without harm in 3 % of canaries at most. */
const alpha = { primary: 0.05, guardrail: 0.005, ratio: 0.001, ratioAtEnd: 0.01, past: 0.005 };
const unit = { low: 0, high: 1 };

export interface PlanInput {
  readonly share: number;
  /** Sessions of this machine. The cost is guarded only where one of them has it. */
  readonly past: Past;
  /** True: only live sessions can decide. */
  readonly isLive: boolean;
  /** Sessions of a canary that only watches. */
  readonly watchUnits: number;
  readonly maxDays: number;
}

/** Pure. [EX55] */
export function planCanary({ share, past, isLive, watchUnits, maxDays }: PlanInput): CanaryPlan {
  const primary = isLive ? planRediscovery() : null;
  const dollars = past.dollars?.mean ?? 0;
  return {
    share,
    isRandomized: true,
    units: primary?.plan.units ?? watchUnits,
    maxDays,
    primary,
    guardrails: [
      slowGuardrail("slowSaves", past),
      slowGuardrail("slowRecoveries", past),
      control("unsavedDeath", { usual: 0.1, harmed: 0.3, margin: 0.05, worse: "higher" }),
      control("restoreScore", { usual: 0.9, harmed: 0.6, margin: 0.05, worse: "lower" }),
      control("toolErrors", { usual: 0.1, harmed: 0.3, margin: 0.05, worse: "higher" }),
      ...(dollars > 0 ? [costGuardrail(dollars)] : []),
    ],
  };
}

/** [EX172] Without a control the machine's own past says what is usual. */
export function planWatch(past: Past): CanaryPlan {
  return {
    share: 1,
    isRandomized: false,
    units: Number.MAX_SAFE_INTEGER,
    maxDays: watchDays,
    primary: null,
    guardrails: [
      ...limit("slowSaves", past, 0.01, 0.1),
      ...limit("slowRecoveries", past, 0.01, 0.1),
      ...limit("unsavedDeath", past, 0.2, 0.4),
      ...limit("restoreScore", past, 0.6, 0.4),
      ...limit("toolErrors", past, 0.3, 0.5),
    ],
  };
}

const watchDays = 7;

/** Facts read again, of at most twenty; one more or less makes no difference that matters. */
function planRediscovery(): CanaryPlan["primary"] {
  const bounds = { low: 0, high: 20 };
  const planned = planRandomized({
    bounds,
    control: spread(5, 4),
    treated: spread(3, 3),
    margin: 1,
    goal: "lower",
    alpha: alpha.primary,
    power,
    probability,
  });
  return { measure: "rediscovery", plan: planned.plan };
}

/**
 * Worse than the allowed mean, and worse by a margin than the past can have been. None where the
 * past leaves no room for anything worse.
 */
function limit(measure: Measure, past: Past, allowed: number, harmed: number): PlannedLimit[] {
  const worse = harmed > allowed ? "higher" : "lower";
  const sign = worse === "higher" ? 1 : -1;
  // Weeks differ by that much without any harm.
  const margin = Math.abs(harmed - allowed) / 4;
  const usual = worstMean(past[measure], worse) + sign * margin;
  const raised = worse === "higher" ? Math.max(allowed, usual) : Math.min(allowed, usual);
  const shown = Math.min(Math.max(raised + harmed - allowed, 0), 1);
  if (sign * (shown - raised) < margin) return [];
  const question = { bounds: unit, limit: raised, worse, harmed: rate(shown) } as const;
  return [{ measure, kind: "limit", plan: planLimit({ ...question, alpha: alpha.guardrail, power }) }];
}

/** Bound of the mean of outcomes from 0 to 1 by Clopper and Pearson; the best mean if unknown. */
function worstMean(past: Past[Measure], worse: "higher" | "lower"): number {
  if (!past) return worse === "higher" ? 0 : 1;
  const interval = shareInterval(Math.min(past.n, past.n * past.mean), past.n, 2 * alpha.past);
  return worse === "higher" ? interval.high : interval.low;
}

/**
 * [EX172] Where few operations are slow, a session counts at most as one with a fifth of them slow:
 * wide bounds would find a harm several times later.
 */
function slowGuardrail(measure: "slowSaves" | "slowRecoveries", past: Past): PlannedControl {
  const usual = past[measure]?.mean ?? 0.01;
  const high = Math.min(1, Math.max(0.2, 4 * usual));
  const plan = planAgainstControl({
    bounds: { low: 0, high },
    control: spread(usual, usual),
    harmed: spread(usual + high / 4, high / 4),
    margin: high / 20,
    worse: "higher",
    probability,
    alpha: alpha.guardrail,
    power,
  });
  return { measure, kind: "control", plan };
}

interface ControlRates {
  readonly usual: number;
  readonly harmed: number;
  readonly margin: number;
  readonly worse: "higher" | "lower";
}

function control(measure: Measure, { usual, harmed, margin, worse }: ControlRates): PlannedControl {
  const arms = { bounds: unit, control: rate(usual), harmed: rate(harmed), margin, worse };
  return {
    measure,
    kind: "control",
    plan: planAgainstControl({ ...arms, probability, alpha: alpha.guardrail, power }),
  };
}

/** A session that costs more than ten usual ones counts as ten. */
function costGuardrail(dollars: number): PlannedControl {
  const plan = planAgainstControl({
    bounds: { low: 0, high: 10 * dollars },
    control: spread(dollars, dollars),
    harmed: spread(2 * dollars, 2 * dollars),
    margin: dollars / 4,
    worse: "higher",
    probability,
    alpha: alpha.guardrail,
    power,
  });
  return { measure: "dollars", kind: "control", plan };
}

export function startCanaryState(plan: CanaryPlan): CanaryState {
  return {
    counts: [0, 0],
    primary: plan.primary && startRandomized(plan.primary.plan),
    guardrails: plan.guardrails.map((one) =>
      one.kind === "limit" ? startSequence(one.plan.sequence) : startRandomized(one.plan),
    ),
    violated: null,
  };
}

/** Counts one more session, in the order of assignment. After a violation nothing changes. */
export function observeSession(plan: CanaryPlan, state: CanaryState, { isTreated, measured }: CanaryUnit): CanaryState {
  if (state.violated !== null) return state;
  const [controls, treated] = state.counts;
  const counts: [number, number] = isTreated ? [controls, treated + 1] : [controls + 1, treated];
  const primary = observePrimary(plan, state.primary, isTreated, measured);
  const guardrails = plan.guardrails.map((guardrail, index) =>
    observeGuardrail(guardrail, state.guardrails[index]!, isTreated, measured[guardrail.measure]),
  );
  return { counts, primary, guardrails, violated: findViolation(plan, counts, guardrails) };
}

function observePrimary(
  { primary }: CanaryPlan,
  state: RandomizedState | null,
  isTreated: boolean,
  measured: Measured,
): RandomizedState | null {
  const outcome = primary === null ? undefined : measured[primary.measure];
  if (primary === null || state === null || outcome === undefined) return state;
  return observeUnit(primary.plan, state, { isTreated, outcome });
}

function observeGuardrail(
  guardrail: CanaryPlan["guardrails"][number],
  state: SequenceState | RandomizedState,
  isTreated: boolean,
  outcome: number | undefined,
): SequenceState | RandomizedState {
  if (outcome === undefined) return state;
  if (guardrail.kind === "control")
    return observeUnit(guardrail.plan, state as RandomizedState, { isTreated, outcome });
  // A limit holds for the new value; sessions with the old one say nothing of it.
  return isTreated ? observe(guardrail.plan.sequence, state as SequenceState, outcome) : state;
}

function findViolation(
  plan: CanaryPlan,
  counts: readonly [number, number],
  states: readonly (SequenceState | RandomizedState)[],
): string | null {
  if (plan.isRandomized && isImbalanced({ shares: [probability, probability], alpha: alpha.ratio }, counts))
    return "sampleRatio";
  const violated = plan.guardrails.find((guardrail, index) => {
    const state = states[index]!;
    return isViolated(guardrail.plan, "sequence" in state ? state.sequence : state);
  });
  return violated?.measure ?? null;
}

export type CanaryVerdict = "running" | "stopped" | Judgement["verdict"];

/** [EX55] */
export function judgeCanary(plan: CanaryPlan, state: CanaryState, days: number): CanaryVerdict {
  if (state.violated !== null) return "stopped";
  const total = state.counts[0] + state.counts[1];
  const isOver = total >= plan.units || days >= plan.maxDays;
  if (plan.primary === null || state.primary === null) return isOver ? endOfWatch(plan, total) : "running";
  const judged = judge(plan.primary.plan, state.primary.sequence);
  if (judged.verdict !== "undecided") return judged.verdict;
  return judged.isOver || days >= plan.maxDays ? "undecided" : "running";
}

/**
 * [EX173] The one look at the shares of the arms when a canary has ended, by the exact binomial
 * test: it finds smaller deviations than a look after each session.
 */
export function atEnd(plan: CanaryPlan, state: CanaryState, days: number): CanaryState {
  const isLast = plan.isRandomized && state.violated === null && judgeCanary(plan, state, days) !== "running";
  const [controls, treated] = state.counts;
  const pValue = 2 * atLeast(Math.max(controls, treated), controls + treated, probability);
  return isLast && pValue <= alpha.ratioAtEnd ? { ...state, violated: "sampleRatio" } : state;
}

/** Too few sessions have shown no harm: that is no proof of none. */
function endOfWatch(plan: CanaryPlan, units: number): "better" | "undecided" {
  return units >= plan.units ? "better" : "undecided";
}
