import type { ReplayEvent, ReplaySave, ReplaySession } from "../../contract/replay.ts";
import { idleAfterMs } from "../replay/loss.ts";
import { tickMs } from "../replay/replay.ts";

/** Older than that, in intervals, a checkpoint was due and did not come. */
export const overdueFactor = 1.5;

/** For how long something had been unsaved: the age of the first event after a checkpoint. */
export interface CheckpointAges {
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

/** Pure; linear. */
export function checkpointAges(session: ReplaySession, everyMs: number, boundMs: number): CheckpointAges {
  const { events, end } = session;
  const startedAt = events[0]?.at ?? 0;
  const saves = session.saves.filter(({ at }) => at >= startedAt);
  const whole = measure(events, saves, end.at, boundMs);
  const isActiveAtEnd = end.at <= (events.at(-1)?.at ?? 0) + idleAfterMs;
  const common = { activeMs: whole.activeMs, isActiveAtEnd, oldShare: shareOf(whole.oldMs, whole.activeMs) };
  if (whole.unsaved === null) return { ...common, atEndMs: 0, lastOldShare: 0 };
  const unsaved = events.slice(whole.unsaved);
  const dueAt = (saves.at(-1)?.at ?? startedAt) + everyMs + tickMs;
  return { ...common, ...lastInterval(unsaved, end.at, dueAt, boundMs) };
}

/** The time that is left until the checkpoint is due counts as active. */
function lastInterval(
  unsaved: readonly ReplayEvent[],
  end: number,
  dueAt: number,
  boundMs: number,
): Pick<CheckpointAges, "atEndMs" | "lastOldShare"> {
  const since = unsaved[0]?.at ?? 0;
  const { oldMs, activeMs } = measure(unsaved, [], Math.min(end, dueAt), boundMs);
  const left = Math.max(0, dueAt - end);
  const oldLeft = Math.max(0, dueAt - Math.max(end, since + boundMs));
  return { atEndMs: end - since, lastOldShare: shareOf(oldMs + oldLeft, activeMs + left) };
}

interface Measured {
  readonly activeMs: number;
  readonly oldMs: number;
  /** Index of the first unsaved event at the end. */
  readonly unsaved: number | null;
}

/** @param saves in the order of time, none before the first event */
function measure(events: readonly ReplayEvent[], saves: readonly ReplaySave[], end: number, boundMs: number): Measured {
  let [activeMs, oldMs, saved] = [0, 0, 0];
  let unsaved: { readonly index: number; readonly at: number } | null = null;
  events.forEach(({ at, isSame }, index) => {
    // A checkpoint after it would hold nothing new.
    if (isSame !== true) unsaved ??= { index, at };
    const next = events[index + 1]?.at ?? Infinity;
    const until = Math.max(at, Math.min(next, end, at + idleAfterMs));
    let from = at;
    const addTime = (to: number): void => {
      activeMs += to - from;
      if (unsaved) oldMs += Math.max(0, to - Math.max(from, unsaved.at + boundMs));
      from = to;
    };
    for (let save = saves[saved]; save && save.at < next; save = saves[++saved]) {
      addTime(Math.min(save.at, until));
      unsaved = null;
    }
    addTime(until);
  });
  return { activeMs, oldMs, unsaved: (unsaved as { readonly index: number } | null)?.index ?? null };
}

function shareOf(part: number, all: number): number {
  return all === 0 ? 0 : part / all;
}
