import { defaults, type Config } from "../../../contract/config.ts";
import type { Finding } from "../../../contract/machine/learning.ts";
import { opportunityPatterns, type OpportunityPattern } from "../../../contract/learning.ts";
import type { ReplaySession } from "../../../contract/replay.ts";
import { age } from "../../../shared/format.ts";
import { settingAt, withSetting } from "../../../shared/setting-keys.ts";
import { atLeast, shareInterval } from "../exact-tests.ts";
import { findParameter, nextValue } from "../parameters.ts";
import { compare, idleAfterMs, tickMs } from "../replay/replay.ts";
import type { History } from "./history.ts";

/** One test of one pattern, whether or not it found something. */
interface Examined {
  readonly subject: string;
  readonly n: number;
  readonly pValue: number;
  readonly toFinding: () => Found;
}

/** The rest of a finding, made only where there is one. Its texts may have the user's subject. */
interface Found extends Pick<Finding, "title" | "text" | "advice"> {
  readonly figures?: Readonly<Record<string, number>>;
  /** Step of a setting that SHIM may change. */
  readonly step?: Step | undefined;
  readonly expected?: Finding["expected"];
}

interface Pattern {
  /** Below so many cases nothing is tested. */
  readonly minimum: number;
  readonly examine: (history: History) => Examined[];
}

const dayMs = 86_400_000;
const fullShare = 0.8;

const patterns: Readonly<Record<OpportunityPattern, Pattern>> = {
  old_checkpoint_at_death: { minimum: 15, examine: (history) => [oldCheckpoints(history)] },
  context_full_unseen: {
    minimum: 8,
    examine: (history) => [
      unseenCause(history, {
        cause: "context_full",
        key: "risk.thresholds.contextFill",
        reading: "contextFill",
        maxAgeMs: Infinity,
        title: "Contexts are full before the risk counts it",
        died: "died of a full context",
      }),
    ],
  },
  out_of_memory_unseen: {
    minimum: 8,
    examine: (history) => [
      unseenCause(history, {
        cause: "out_of_memory",
        key: "risk.thresholds.memory",
        reading: "hostMemory",
        maxAgeMs: 300_000,
        title: "Memory runs out before the risk counts it",
        died: "died for want of memory",
      }),
    ],
  },
  /** A measured fact, so without a test. */
  large_store: {
    minimum: 20,
    examine: ({ storeBytes: bytes, config, sessions }) => {
      const limit = config.retention.maxBytes;
      const toFinding = (): Found => ({
        title: "The store is nearly full",
        text: `It has ${megabytes(bytes)} of the ${megabytes(limit)} of retention.maxBytes; above it the oldest sessions are deleted.`,
        advice: "Raise retention.maxBytes, or keep less: retention.maxAgeMs, retention.checkpointsPerSession.",
        figures: { bytes, limit },
      });
      const pValue = bytes >= fullShare * limit ? 0 : 1;
      return [{ subject: "retention.maxBytes", n: sessions.length, pValue, toFinding }];
    },
  },
  offers_dismissed: { minimum: 10, examine: (history) => [dismissedOffers(history)] },
};

/**
 * A death at a random active moment finds something unsaved for longer than half of the
 * interval at most as often as the second half is part of the whole. A death in a pause is no such
 * moment.
 */
function oldCheckpoints(history: History): Examined {
  const key = "checkpoint.everyMs";
  const { config } = history;
  const { everyMs } = config.checkpoint;
  const died = sessionsWith(history, key).filter(
    ({ events, end, isComplete }) =>
      end.kind === "died" && isComplete && end.at <= (events.at(-1)?.at ?? 0) + idleAfterMs,
  );
  const ages = died.map(unsavedAgeMs);
  // Where checkpoints did not come when they were due, a shorter interval changes nothing.
  const late = ages.filter((ms) => ms > everyMs / 2);
  const isOverdue = late.filter((ms) => ms > 1.5 * everyMs).length > late.length / 2;
  return examineShare({
    subject: key,
    usual: (everyMs / 2 + tickMs) / (everyMs + tickMs),
    cases: ages,
    isHit: (ms) => ms > everyMs / 2,
    title: "Chats die when their checkpoint is old",
    text: (counted, old) =>
      `At ${counted} deaths something had been unsaved for longer than half of ${key}, at most for ${age(Math.max(...old))}.`,
    advice: isOverdue
      ? "A shorter interval would not help: checkpoints did not come when they were due. See `shim doctor`."
      : "On this machine the journal has the events since; another machine that continues the chat has the checkpoint only.",
    step: isOverdue ? undefined : stepOf(config, key),
    expectedOf: (to) => {
      const replayed = compare(died.slice(-maxReplayed), config, withSetting(config, key, to));
      const { verdict, difference: value } = replayed.toolCalls;
      return verdict === "better" && value !== null ? { figure: "toolCallsLost", value } : null;
    },
  });
}

/** Sessions that are replayed for the expected change: the newest. */
const maxReplayed = 200;

/** Time since the first event after the last checkpoint that changed something. */
export function unsavedAgeMs({ events, saves, end }: ReplaySession): number {
  const savedAt = saves.at(-1)?.at ?? -1;
  const first = events.find(({ at, isSame }) => at > savedAt && isSame !== true);
  return first ? end.at - first.at : 0;
}

interface UnseenCause {
  readonly cause: string;
  readonly key: string;
  readonly reading: "contextFill" | "hostMemory";
  /** An older reading says nothing. */
  readonly maxAgeMs: number;
  readonly title: string;
  readonly died: string;
}

/** Deaths of a cause whose last reading was not above the threshold. */
function unseenCause(history: History, { cause, key, title, died, reading, maxAgeMs }: UnseenCause): Examined {
  const step = stepOf(history.config, key);
  const dead = sessionsWith(history, key).filter(({ end }) => end.kind === "died" && end.cause === cause);
  return examineShare({
    subject: key,
    usual: 0.1,
    cases: dead.flatMap(({ samples, end }) => {
      const last = samples.findLast(({ readings }) => readings[reading] !== undefined)?.readings[reading];
      return last && last.at >= end.at - maxAgeMs ? [last.value] : [];
    }),
    isHit: (value) => value <= step.from,
    title,
    text: (counted) => `${counted} chats that ${died} were last read at or below ${key}.`,
    advice: "A lower threshold makes a checkpoint earlier.",
    step,
    expectedOf: (to, missed) => {
      const value = missed.filter((one) => one > to).length / missed.length;
      return value === 0 ? null : { figure: "sharePrevented", value };
    },
  });
}

function dismissedOffers({ now, offers, config }: History): Examined {
  const maxAgeMs = config.offerMaxAgeMs;
  // A shorter time helps only where what was dismissed is old.
  const isOld = offers.some(({ resolution, ageMs }) => resolution === "dismissed" && ageMs > maxAgeMs / 2);
  return examineShare({
    subject: "offerMaxAgeMs",
    usual: 0.3,
    // An offer of today may still be taken.
    cases: offers.filter(({ at, resolution }) => resolution !== "open" || now - at >= dayMs),
    isHit: ({ resolution }) => resolution === "dismissed",
    title: "Offers of dead sessions are dismissed",
    text: (counted) => `${counted} dead sessions that were offered were dismissed.`,
    advice: isOld
      ? `\`shim config set offerMaxAgeMs ${maxAgeMs / 2}\`: old ones are then listed, and no longer offered.`
      : "They were recent ones, so a shorter offerMaxAgeMs changes nothing; `shim config set recovery ask` asks before a brief is given.",
  });
}

/** Only sessions that ran with the value in force say something about it. */
function sessionsWith({ sessions, config }: History, key: string): ReplaySession[] {
  const isInForce = ({ changed }: ReplaySession): boolean =>
    changed !== null && (changed[key] ?? settingAt(defaults, key)) === settingAt(config, key);
  return sessions.map(({ session }) => session).filter(isInForce);
}

interface ShareTest<Case> extends Omit<Found, "text" | "figures" | "expected"> {
  readonly subject: string;
  readonly cases: readonly Case[];
  readonly isHit: (one: Case) => boolean;
  /** Share of hits up to which nothing is wrong. */
  readonly usual: number;
  /** @param counted such as `3 of 8` */
  readonly text: (counted: string, hits: readonly Case[]) => string;
  /** Expected change by the value of the step; null: no better one is to be expected. */
  readonly expectedOf?: (to: number, hits: readonly Case[]) => Finding["expected"];
}

/** Exact test that the share of hits is above the usual one. */
function examineShare<Case>({ subject, cases, isHit, usual, text, expectedOf, ...found }: ShareTest<Case>): Examined {
  const hits = cases.filter(isHit);
  const n = cases.length;
  return {
    subject,
    n,
    pValue: atLeast(hits.length, n, usual),
    toFinding: () => {
      const share = hits.length / n;
      const { low, high } = shareInterval(hits.length, n);
      const bounds = `That is ${percent(share)} (95 % interval ${percent(low)} to ${percent(high)}); up to ${percent(usual)} is usual.`;
      const to = found.step?.to ?? null;
      const expected = to === null ? null : (expectedOf?.(to, hits) ?? null);
      const isVain = to !== null && expected === null;
      return {
        ...found,
        ...(isVain && {
          step: undefined,
          advice: `The replay of your sessions does not find ${to} better. ${found.advice}`,
        }),
        text: `${text(`${hits.length} of ${n}`, hits)} ${bounds}`,
        figures: { hits: hits.length, share, low, high, usual },
        expected,
      };
    },
  };
}

interface Step {
  readonly parameter: string;
  readonly from: number;
  /** Absent (null) at the bound of what SHIM would try. */
  readonly to: number | null;
}

/** One step down of a parameter. */
function stepOf(config: Config, key: string): Step {
  const parameter = findParameter(key);
  const from = settingAt(config, key);
  if (!parameter || typeof from !== "number") throw new Error(`${key} is no parameter.`);
  return { parameter: key, from, to: nextValue(parameter, from, "down") };
}

/** Probability, at most, that a run has any false finding. */
const falseFindings = 0.005;

export interface Unjudged {
  readonly pattern: OpportunityPattern;
  readonly subject: string;
  readonly n: number;
  readonly minimum: number;
}

export interface Opportunities {
  /** Least likely by chance first. */
  readonly findings: readonly Finding[];
  /** Not tested, for want of cases. */
  readonly unjudged: readonly Unjudged[];
}

/** Pure: the same history has the same findings. */
export function findOpportunities(all: History): Opportunities {
  const history = inWindow(all);
  const examined = opportunityPatterns.flatMap((pattern) =>
    patterns[pattern].examine(history).map((test) => ({ pattern, test })),
  );
  const moved = new Set<string>();
  const findings = certain(examined).map((one) => {
    const found = one.test.toFinding();
    // Only the first of several findings for one setting has a next value.
    const isFirst = !moved.has(found.step?.parameter ?? "");
    if (found.step) moved.add(found.step.parameter);
    return toFinding(one, found, history.windowMs, isFirst);
  });
  const unjudged = examined
    .filter((one) => !isEnough(one))
    .map(({ pattern, test: { subject, n } }) => ({ pattern, subject, n, minimum: patterns[pattern].minimum }));
  return { findings, unjudged };
}

interface PatternTest {
  readonly pattern: OpportunityPattern;
  readonly test: Examined;
}

interface Certain extends PatternTest {
  readonly pValue: number;
}

function isEnough({ pattern, test }: PatternTest): boolean {
  return test.n >= patterns[pattern].minimum;
}

/** Corrected together (Bonferroni). Least likely by chance first. */
function certain(examined: readonly PatternTest[]): Certain[] {
  const judged = examined.filter(isEnough);
  return judged
    .map(({ pattern, test }) => ({ pattern, test, pValue: test.pValue * judged.length }))
    .filter(({ pValue }) => pValue <= falseFindings)
    .toSorted((a, b) => a.pValue - b.pValue);
}

/** Older rows, and those of the future after a clock was set back, are no evidence. */
function inWindow(history: History): History {
  const { now, windowMs, sessions, offers } = history;
  const isRecent = ({ at }: { readonly at: number }): boolean => at > now - windowMs && at <= now;
  return { ...history, sessions: sessions.filter(isRecent), offers: offers.filter(isRecent) };
}

function toFinding(
  { pattern, test: { subject, n }, pValue }: Certain,
  { figures = {}, step, expected = null, ...texts }: Found,
  windowMs: number,
  isFirst: boolean,
): Finding {
  const evidence = { n, windowMs, figures };
  const common = { id: `${pattern}:${subject}`, pattern, subject, pValue, evidence, expected, ...texts };
  if (!step) return { ...common, parameter: null, from: null, to: null, test: "person" };
  const { parameter, from } = step;
  const to = isFirst ? step.to : null;
  const change = expected ? expectedText(expected) : "";
  const advice =
    to === null
      ? `${parameter} is ${from}, at the bound of what SHIM would try, or tried for another finding. `
      : `Try ${parameter} ${from} -> ${to}, judged by replay of your sessions${change}. `;
  return { ...common, parameter, from, to, test: to === null ? "person" : "replay", advice: advice + texts.advice };
}

function expectedText({ figure, value }: NonNullable<Finding["expected"]>): string {
  return figure === "sharePrevented"
    ? `; expected share of these cases that it would have changed: ${percent(value)}`
    : `; expected change of the tool calls that a death loses: ${value.toFixed(1)}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
