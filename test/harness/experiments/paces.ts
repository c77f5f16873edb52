import type { Config } from "#src/contract/config.ts";
import type { ReplayEvent, ReplaySession } from "#src/contract/replay.ts";
import { replay } from "#src/learning/experiments/replay/replay.ts";
import { aSession } from "./sessions.ts";

type Random = () => number;

/** A pace of work whose deaths have nothing to do with checkpoints. */
export interface Pace {
  readonly name: string;
  /** Until the next event. */
  readonly gapMs: (random: Random, index: number) => number;
  /** Events of a typical session. */
  readonly events: number;
  readonly everyMs: number;
}

const minute = 60_000;

function exponential(random: Random, mean: number): number {
  return -mean * Math.log(1 - random());
}

const gaps: Readonly<Record<string, Pace["gapMs"]>> = {
  fast: (random) => exponential(random, 8_000),
  steady: (random) => exponential(random, 30_000),
  slow: (random) => exponential(random, 2 * minute),
  regular: () => minute,
  bursts: (random, index) => exponential(random, index % 15 === 0 ? 10 * minute : 4_000),
  pauses: (random) => exponential(random, random() < 0.1 ? 60 * minute : 20_000),
  "long calls": (random) => exponential(random, random() < 0.3 ? 4 * minute : 15_000),
};

/** Short and long sessions of each kind, with checkpoints every two, five or ten minutes. */
export const paces: readonly Pace[] = Object.entries(gaps).flatMap(([name, gapMs], index) =>
  [8, 20, 60].map((events, length) => {
    const everyMs = ([2, 5, 10][(index + length) % 3] ?? 5) * minute;
    return { name: `${name}, ${events} events, every ${everyMs / minute} min`, gapMs, events, everyMs };
  }),
);

const idleAfterMs = 5 * minute;

/** Checkpoints are the shipped rules' own; about two thirds die, at a random moment of their active time. */
export function paceSession(random: Random, pace: Pace, config: Config): ReplaySession {
  const count = 3 + Math.floor(exponential(random, pace.events));
  let at = 0;
  const all = Array.from({ length: count }, (_, index): ReplayEvent => {
    at += Math.ceil(pace.gapMs(random, index));
    return index % 60 === 0 ? { at, kind: "prompt" } : { at, kind: "tool_end", tool: `tool-${index % 3}` };
  });
  const activeMs = all.map((event, index) => Math.min(idleAfterMs, (all[index + 1]?.at ?? event.at + 1) - event.at));
  const typicalMs = (pace.events * activeMs.reduce((sum, one) => sum + one, 0)) / count;
  let left = exponential(random, typicalMs / 2);
  const last = activeMs.findIndex((ms) => (left -= ms) < 0);
  const isDead = last >= 0;
  const events = isDead ? all.slice(0, last + 1) : all;
  const endAt = (events.at(-1)?.at ?? 0) + (isDead ? Math.ceil(left + (activeMs[last] ?? 0)) : 1_000);
  const end = isDead
    ? ({ at: endAt, kind: "died", cause: "killed" } as const)
    : ({ at: endAt, kind: "ended", cause: null } as const);
  const session = aSession({ events, end });
  return { ...session, saves: savesOf(session, config) };
}

function savesOf(session: ReplaySession, config: Config): ReplaySession["saves"] {
  return replay(session, config).map(({ at, trigger }) => ({ at, trigger }));
}

/** The same session; none of its checkpoints was made in the last minutes before its death. */
export function withFailedSaves(session: ReplaySession, failedMs: number): ReplaySession {
  const { saves, end } = session;
  return end.kind === "died" ? { ...session, saves: saves.filter(({ at }) => at < end.at - failedMs) } : session;
}
