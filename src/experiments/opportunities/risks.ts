import { sum } from "simple-statistics";
import type { Config } from "../../contract/config.ts";
import type { Reading, ReadingName, Readings } from "../../contract/readings.ts";
import type { ReplayEvent, ReplaySession } from "../../contract/replay.ts";
import { derive, merge, type ToolOutcome } from "../../policy/readings.ts";
import { assess } from "../../policy/risk.ts";
import { settingAt } from "../../shared/setting-keys.ts";
import { atLeast, unequalTails } from "../exact-tests.ts";
import { examineShare, round, sharePrevented, stepOf, type Examined } from "./finding.ts";
import { sessionsWith, type History, type PastSession } from "./history.ts";

export function examineRisks(history: History): Examined[] {
  return [
    unseen(history, {
      pattern: "context_full_unseen",
      cause: "context_full",
      key: "risk.thresholds.contextFill",
      title: "Contexts are full before the risk counts it",
      died: "died of a full context",
      reading: ({ samples }) => lastReading(samples, "contextFill", -Infinity),
    }),
    unseen(history, {
      pattern: "out_of_memory_unseen",
      cause: "out_of_memory",
      key: "risk.thresholds.memory",
      title: "Memory runs out before the risk counts it",
      died: "died for want of memory",
      reading: ({ samples, end }) => lastReading(samples, "hostMemory", end.at - memoryReadingMs),
    }),
    ...examineReasons(history),
  ];
}

const memoryReadingMs = 300_000;

interface Unseen {
  readonly pattern: "context_full_unseen" | "out_of_memory_unseen";
  readonly cause: string;
  readonly key: string;
  readonly title: string;
  readonly died: string;
  readonly reading: (session: ReplaySession) => number | null;
}

/** Deaths of a cause whose last reading was not above the threshold. */
function unseen(history: History, { pattern, cause, key, title, died, reading }: Unseen): Examined {
  const step = stepOf(settingAt(history.config, key), key, "down");
  const { from, to } = step;
  const values = sessionsWith(history, [key])
    .filter(({ session: { end } }) => end.kind === "died" && end.cause === cause)
    .flatMap(({ session }) => reading(session) ?? []);
  const missed = values.filter((value) => value <= from);
  return examineShare({
    pattern,
    subject: key,
    minimum: 8,
    usual: 0.1,
    n: values.length,
    hits: missed.length,
    toFinding: (counted) => ({
      title,
      text: `${counted} chats that ${died} were last read at or below ${key}.`,
      advice: "A lower threshold makes a checkpoint earlier.",
      figures: { highest: Math.max(...missed) },
      step,
      ...(to === null ? {} : { expected: sharePrevented(missed.filter((value) => value > to).length, missed.length) }),
    }),
  });
}

function lastReading(
  samples: ReplaySession["samples"],
  name: "contextFill" | "hostMemory",
  since: number,
): number | null {
  const reading = samples.findLast(({ readings }) => readings[name] !== undefined)?.readings[name];
  return reading && reading.at >= since ? reading.value : null;
}

/**
 * Reasons by weight. Time since the checkpoint is none of them: a chat that ends has saved, one
 * that dies has not.
 */
const reasons = {
  contextFill: ["contextFill", "contextTokens"],
  memory: ["hostMemory"],
  rateLimit: ["rateLimit"],
  toolErrors: ["toolErrors"],
  latencyTrend: ["latencyTrend"],
  apiErrors: ["apiErrors"],
  transcriptSize: ["transcriptBytes"],
} as const satisfies Partial<Record<keyof Config["risk"]["weights"], readonly string[]>>;
type Weight = keyof typeof reasons;
const weights = Object.keys(reasons) as Weight[];

const minDeaths = 20;
/** Newest sessions and deaths that are compared. */
const maxSessions = 500;
const maxDeaths = 200;
/** A chat that then waits for its user is not compared with one that works. */
const maxPauseMs = 300_000;
const maxAgeMs = 3_600_000;
const maxCalls = 50;

function examineReasons(history: History): Examined[] {
  const keys = weights.map((weight) => `risk.weights.${weight}`);
  const past = sessionsWith(history, keys)
    .filter(({ session }) => session.isComplete && session.events.length > 0)
    .slice(-maxSessions);
  // A window that a user closed is no failure that a risk could foresee.
  const crashed = past.filter(({ session: { end } }) => end.kind === "died" && end.cause !== "closed");
  const compared = crashed.slice(-maxDeaths).map((death) => compareDeath(death, past, history.config));
  return weights.flatMap((weight) => examineWeight(history, weight, compared));
}

/** A death, and all sessions that had come as far, at the same number of events. */
interface ComparedDeath {
  readonly active: ReadonlySet<Weight>;
  /** No level above safe: SHIM did not see it come. */
  readonly isSilent: boolean;
  /** Share of the sessions, with the one that died, in which the reason was active. */
  readonly shares: ReadonlyMap<Weight, number>;
}

function compareDeath(death: PastSession, past: readonly PastSession[], config: Config): ComparedDeath {
  const events = death.session.events.length;
  const risks = past
    .filter(({ session }) => session.events.length >= events)
    .map(({ session }) => riskAfter(session, events, config));
  const shares = weights.map((weight) => {
    const active = risks.filter((risk) => risk.active.has(weight)).length;
    return [weight, active / risks.length] as const;
  });
  return { ...riskAfter(death.session, events, config), shares: new Map(shares) };
}

/**
 * If a reason has nothing to do with deaths, the session that dies is any of those that came as
 * far: the number of deaths with the reason then is a sum of coins with known probabilities.
 */
function examineWeight({ config }: History, weight: Weight, compared: readonly ComparedDeath[]): Examined[] {
  // A death says something only where some had the reason and some had not.
  const shareOf = ({ shares }: ComparedDeath): number => shares.get(weight) ?? 0;
  const telling = compared.filter((death) => shareOf(death) > 0 && shareOf(death) < 1);
  const withReason = telling.filter(({ active }) => active.has(weight));
  const probabilities = telling.map(shareOf);
  const silent = withReason.filter(({ isSilent }) => isSilent).length;
  const tails = unequalTails(probabilities, withReason.length);
  const figures = { hits: withReason.length, usual: sum(probabilities), silent };
  const key = `risk.weights.${weight}`;
  const common = { subject: key, n: telling.length, minimum: minDeaths };
  const found = { figures, basis: "association" } as const;
  const seen = `At ${telling.length} deaths this reason was active in ${withReason.length}`;
  return [
    {
      ...common,
      pattern: "reason_without_death",
      pValue: tails.atMost,
      toFinding: () => ({
        title: `A reason for risk does not come before deaths: ${key}`,
        text: `${seen}; chats that had come as far had it so often that ${round(figures.usual)} were expected.`,
        advice: "It is found together, which need not be cause and effect; a lower weight makes fewer checkpoints.",
        step: stepOf(settingAt(config, key), key, "down"),
        ...found,
      }),
    },
    {
      ...common,
      pattern: "reason_before_death",
      // Only where most of these deaths came at the level safe is the weight too low.
      pValue: Math.max(tails.atLeast, atLeast(silent, withReason.length, 0.5)),
      toFinding: () => ({
        title: `A reason for risk comes before deaths, and raises no alarm: ${key}`,
        text: `${seen}, where ${round(figures.usual)} were expected; ${silent} of these chats were at the level safe.`,
        advice: "A higher weight makes a checkpoint when the reason appears.",
        step: stepOf(settingAt(config, key), key, "up"),
        ...found,
      }),
    },
  ];
}

/** Risk after so many events, before the next one. */
function riskAfter(session: ReplaySession, count: number, config: Config): Pick<ComparedDeath, "active" | "isSilent"> {
  const { events, samples, saves, end } = session;
  const last = events[count - 1]?.at ?? 0;
  const now = Math.min(events[count]?.at ?? end.at, last + maxPauseMs);
  const savedAt = saves.findLast(({ at }) => at <= now)?.at ?? 0;
  const recentTools = lastCalls(events, count);
  const derived = derive(
    {
      startedAt: 0,
      toolCalls: recentTools.length,
      toolErrors: 0,
      recentTools,
      lastCheckpointAt: last > savedAt ? savedAt : now,
      transcriptBytes: null,
      clientMemoryBytes: null,
      hostMemory: null,
    },
    now,
  );
  const risk = assess(merge(readingsAt(samples, now), derived), config.risk, now);
  const names = new Set(risk.reasons.map(({ name }) => name));
  const active = weights.filter((weight) => reasons[weight].some((one) => names.has(one)));
  return { active: new Set(active), isSilent: risk.level === "safe" };
}

function lastCalls(events: readonly ReplayEvent[], count: number): ToolOutcome[] {
  const calls: ToolOutcome[] = [];
  for (let index = count - 1; index >= 0 && calls.length < maxCalls; index--) {
    const { kind, tool = 0, durationMs = null } = events[index] ?? { kind: "other" };
    const isCall = kind === "tool_end" || kind === "tool_error";
    if (isCall) calls.push({ name: String(tool), isError: kind === "tool_error", durationMs });
  }
  return calls.toReversed();
}

/** The newest reading of each name; older ones than an hour count nowhere. */
function readingsAt(samples: ReplaySession["samples"], now: number): Readings {
  const known: Partial<Record<ReadingName, Reading>> = {};
  for (let index = samples.length - 1; index >= 0; index--) {
    const sample = samples[index];
    if (!sample || sample.at > now) continue;
    if (now - sample.at > maxAgeMs) break;
    for (const [name, reading] of Object.entries(sample.readings))
      known[name as ReadingName] ??= { ...reading, source: "measured" };
  }
  return known;
}
