import { sum } from "simple-statistics";
import type { ReplayEvent, ReplaySave, ReplaySession } from "../../contract/replay.ts";
import { age } from "../../shared/format.ts";
import { settingAt, withSetting } from "../../shared/setting-keys.ts";
import { meanInterval, unequalTails } from "../exact-tests.ts";
import { idleAfterMs, outcomeOf } from "../replay/loss.ts";
import { tickMs } from "../replay/replay.ts";
import { examineShare, round, stepOf, type Examined, type Found } from "./finding.ts";
import { sessionsWith, type History, type PastSession } from "./history.ts";

const keys = { time: "checkpoint.everyMs", tools: "checkpoint.everyToolCalls" } as const;
/** Older than that, in intervals, a checkpoint was due and did not come. */
const overdueFactor = 1.5;
/** Sessions that are replayed for the expected effect: the newest. */
const maxReplayed = 200;
/** Deaths that find an old checkpoint by a delay of any other cause. */
const lateShare = 0.1;
/** A session that was active for fewer intervals says nothing about overdue checkpoints. */
const minIntervals = 3;
const fullShare = 0.8;

export function examineCheckpoints(history: History): Examined[] {
  const past = sessionsWith(history, Object.values(keys));
  const newest = past.slice(-maxReplayed);
  return [oldCheckpoints(history, past), overdueCheckpoints(history, newest), largeStore(history)];
}

/**
 * [EX281] Deaths with something unsaved for longer than half of the interval. If a death comes at a
 * random active moment, it does so with the share of such moments in its own session: the number of
 * deaths is a sum of coins with known probabilities. A death in a pause is no such moment.
 */
function oldCheckpoints(history: History, past: readonly PastSession[]): Examined {
  const { everyMs } = history.config.checkpoint;
  const died = past.flatMap(({ session }) => {
    const { end, isComplete } = session;
    const ages = end.kind === "died" && isComplete ? checkpointAges(session, everyMs, everyMs / 2) : null;
    return ages?.isActiveAtEnd === true ? [{ session, ages }] : [];
  });
  const old = died.map(({ ages }) => ages.atEndMs).filter((age) => age > everyMs / 2);
  // The share of its own time is too low for a session that dies in its first intervals.
  const shares = died.map(({ ages }) => Math.max(lateShare, ages.oldShare, ages.lastOldShare));
  const overdue = old.filter((age) => age > overdueFactor * everyMs).length;
  const figures = { hits: old.length, usual: sum(shares), oldestMs: Math.max(0, ...old), overdue };
  return {
    pattern: "old_checkpoint_at_death",
    subject: keys.time,
    n: died.length,
    minimum: 10,
    pValue: unequalTails(shares, old.length).atLeast,
    toFinding: () => {
      // Where checkpoints did not come when they were due, a shorter interval changes nothing.
      const sessions = died.map(({ session }) => session);
      const better = overdue > old.length / 2 ? null : shorterInterval(history, sessions);
      return {
        title: "Chats die when their checkpoint is old",
        text: `At ${old.length} of ${died.length} deaths something had been unsaved for longer than half of checkpoint.everyMs, at most for ${age(figures.oldestMs)}; by the pace of these chats up to ${round(figures.usual)} were expected.`,
        advice: better
          ? "On this machine the journal has the events since; another machine that continues the chat has the checkpoint only."
          : "A shorter interval would not help: checkpoints did not come when they were due, or nothing more would be saved. See `shim doctor`.",
        figures,
        ...better,
      };
    },
  };
}

type Effect = { readonly [Name in "step" | "expected"]: NonNullable<Found[Name]> };

/** The setting of the two whose step saves more tool calls at a death, by replay; null: neither. */
function shorterInterval({ config }: History, dead: readonly ReplaySession[]): Effect | null {
  const effects = Object.values(keys).flatMap((key): Effect[] => {
    const step = stepOf(settingAt(config, key), key, "down");
    if (step.to === null) return [];
    const changed = withSetting(config, key, step.to);
    const { mean, low, high } = meanInterval(
      dead.slice(-maxReplayed).map((one) => outcomeOf(one, changed).toolCalls - outcomeOf(one, config).toolCalls),
    );
    return [{ step, expected: { figure: "toolCallsLost", value: mean, low, high } }];
  });
  const best = effects.toSorted((a, b) => a.expected.value - b.expected.value)[0];
  return best && best.expected.high < 0 ? best : null;
}

/**
 * [EX283] Sessions in which most of the time a checkpoint was overdue. Apart from deaths: whether
 * chats die or not, something keeps checkpoints from being made, and no interval changes that.
 */
function overdueCheckpoints({ config }: History, past: readonly PastSession[]): Examined {
  const { everyMs } = config.checkpoint;
  const shares = past.flatMap(({ session }) => {
    // A full set has lost its older ones.
    if (!session.isComplete || session.saves.length >= config.retention.checkpointsPerSession) return [];
    const { activeMs, oldShare } = checkpointAges(session, everyMs, overdueFactor * everyMs);
    return activeMs < minIntervals * everyMs ? [] : [oldShare];
  });
  return examineShare({
    pattern: "overdue_checkpoints",
    subject: keys.time,
    minimum: 10,
    usual: 0.1,
    cases: shares,
    isHit: (share) => share > 0.5,
    title: "Checkpoints do not come when they are due",
    text: (counted) =>
      `In ${counted} chats something had been unsaved for longer than one and a half times checkpoint.everyMs most of the time.`,
    advice:
      "A shorter interval would not help. `shim doctor` says whether hooks, the disk or the process are the cause.",
  });
}

/** A measured fact, so without a test. */
function largeStore({ machine, config, sessions }: History): Examined {
  const bytes = machine.find(({ name }) => name === "shim_store_bytes")?.value ?? 0;
  const limit = config.retention.maxBytes;
  return {
    pattern: "large_store",
    subject: "retention.maxBytes",
    n: sessions.length,
    minimum: 20,
    pValue: bytes >= fullShare * limit ? 0 : 1,
    toFinding: () => ({
      title: "The store is nearly full",
      text: `It has ${megabytes(bytes)} of the ${megabytes(limit)} of retention.maxBytes; above it the oldest sessions are deleted.`,
      advice: "Raise retention.maxBytes, or keep less: retention.maxAgeMs, retention.checkpointsPerSession.",
      figures: { bytes, limit },
      direction: "up",
    }),
  };
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

/** For how long something had been unsaved: the age of the first event after a checkpoint. */
interface CheckpointAges {
  /** 0: nothing was unsaved. */
  readonly atEndMs: number;
  /** The session ended before a pause became idleness. */
  readonly isActiveAtEnd: boolean;
  readonly activeMs: number;
  /** Share of the active time with an age above the bound. */
  readonly oldShare: number;
  /** The same share of the last interval, completed up to when its checkpoint is due. */
  readonly lastOldShare: number;
}

/** [EX280] Pure; linear. */
export function checkpointAges(session: ReplaySession, everyMs: number, boundMs: number): CheckpointAges {
  const { events, end } = session;
  const startedAt = events[0]?.at ?? 0;
  const saves = session.saves.filter(({ at }) => at >= startedAt);
  const whole = measure(events, saves, end.at, boundMs);
  const isActiveAtEnd = end.at <= (events.at(-1)?.at ?? 0) + idleAfterMs;
  const common = { activeMs: whole.activeMs, isActiveAtEnd, oldShare: shareOf(whole.oldMs, whole.activeMs) };
  if (whole.unsaved === null) return { ...common, atEndMs: 0, lastOldShare: 0 };
  const unsaved = events.slice(whole.unsaved);
  const since = unsaved[0]?.at ?? 0;
  const dueAt = (saves.at(-1)?.at ?? startedAt) + everyMs + tickMs;
  const last = measure(unsaved, [], Math.min(end.at, dueAt), boundMs);
  // The time that is left until the checkpoint is due counts as active.
  const left = Math.max(0, dueAt - end.at);
  const oldLeft = Math.max(0, dueAt - Math.max(end.at, since + boundMs));
  const lastOldShare = shareOf(last.oldMs + oldLeft, last.activeMs + left);
  return { ...common, atEndMs: end.at - since, lastOldShare };
}

interface Ages {
  readonly activeMs: number;
  readonly oldMs: number;
  /** Index of the first unsaved event at the end. */
  readonly unsaved: number | null;
}

/** @param saves in the order of time, none before the first event */
function measure(events: readonly ReplayEvent[], saves: readonly ReplaySave[], end: number, boundMs: number): Ages {
  let [activeMs, oldMs, saved] = [0, 0, 0];
  let unsaved: number | null = null;
  for (const [index, { at, isSame }] of events.entries()) {
    // A checkpoint after it would hold nothing new.
    if (isSame !== true) unsaved ??= index;
    const next = events[index + 1]?.at ?? Infinity;
    const until = Math.max(at, Math.min(next, end, at + idleAfterMs));
    let from = at;
    const addTime = (to: number): void => {
      activeMs += to - from;
      const oldFrom = unsaved === null ? Infinity : (events[unsaved]?.at ?? 0) + boundMs;
      oldMs += Math.max(0, to - Math.max(from, oldFrom));
      from = to;
    };
    for (let save = saves[saved]; save && save.at < next; save = saves[++saved]) {
      addTime(Math.min(save.at, until));
      unsaved = null;
    }
    addTime(until);
  }
  return { activeMs, oldMs, unsaved };
}

function shareOf(part: number, all: number): number {
  return all === 0 ? 0 : part / all;
}
