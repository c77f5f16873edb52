import type { Config } from "../../contract/config.ts";
import type { Reading, ReadingName, Readings } from "../../contract/readings.ts";
import type { ReplayEvent, ReplaySession } from "../../contract/replay.ts";
import { derive, merge, type ToolOutcome } from "../../policy/readings.ts";
import { assess } from "../../policy/risk.ts";
import { atLeast, unequalTails } from "./exact-tests.ts";
import { stepOf, type Direction, type Examined } from "./finding.ts";
import type { History, PastSession } from "./history.ts";
import { hasCrashed, sessionsWith } from "./in-force.ts";

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

export function examineRiskReasons(history: History): Examined[] {
  const past = sessionsWith(history, riskKeys)
    .filter(({ session }) => session.isComplete && session.events.length > 0)
    .slice(-maxSessions);
  const compared = past
    .filter(hasCrashed)
    .slice(-maxDeaths)
    .map((death) => compareDeath(death, past, history.config));
  return weights.flatMap((weight) => examineWeight(history, weight, compared));
}

const riskKeys = weights.map((weight) => `risk.weights.${weight}`);

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
  const own = riskAfter(death.session, events, config);
  const shares = weights.map((weight) => {
    const active = risks.filter((risk) => risk.active.has(weight)).length;
    return [weight, active / risks.length] as const;
  });
  return { ...own, shares: new Map(shares) };
}

/**
 * If a reason has nothing to do with deaths, the session that dies is any of those that came as
 * far: the number of deaths with the reason then is a sum of coins with known probabilities.
 */
function examineWeight(history: History, weight: Weight, compared: readonly ComparedDeath[]): Examined[] {
  const probabilities = compared.map(({ shares }) => shares.get(weight) ?? 0);
  // A death says something only where some had the reason and some had not.
  const telling = compared.filter((_, index) => isBetween(probabilities[index] ?? 0));
  const withReason = telling.filter(({ active }) => active.has(weight));
  const silent = withReason.filter(({ isSilent }) => isSilent).length;
  const tails = unequalTails(probabilities.filter(isBetween), withReason.length);
  const figures = {
    hits: withReason.length,
    usual: probabilities.filter(isBetween).reduce((sum, one) => sum + one, 0),
    silent,
  };
  const key = `risk.weights.${weight}`;
  const examined = (pattern: Examined["pattern"], direction: Direction, pValue: number): Examined => ({
    pattern,
    subject: key,
    n: telling.length,
    minimum: minDeaths,
    pValue,
    toFinding: () => {
      const step = stepOf(history.config, key, direction);
      return { ...step, expected: null, figures: { ...figures, ...step.figures }, basis: "association" };
    },
  });
  // Only where most of these deaths came at the level safe is the weight too low.
  const silence = atLeast(silent, withReason.length, 0.5);
  return [
    examined("reason_without_death", "down", tails.atMost),
    examined("reason_before_death", "up", Math.max(tails.atLeast, silence)),
  ];
}

function isBetween(share: number): boolean {
  return share > 0 && share < 1;
}

/** Risk after so many events, before the next one. */
function riskAfter(session: ReplaySession, count: number, config: Config): Pick<ComparedDeath, "active" | "isSilent"> {
  const { events, samples, saves, end } = session;
  const last = events[count - 1]?.at ?? 0;
  const now = Math.min(events[count]?.at ?? end.at, last + maxPauseMs);
  const savedAt = saves.findLast(({ at }) => at <= now)?.at ?? 0;
  const recentTools = lastCalls(events, count);
  const unknown = { transcriptBytes: null, clientMemoryBytes: null, hostMemory: null };
  const derived = derive(
    {
      startedAt: 0,
      toolCalls: recentTools.length,
      toolErrors: 0,
      recentTools,
      lastCheckpointAt: last > savedAt ? savedAt : now,
      ...unknown,
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
