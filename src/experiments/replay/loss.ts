import type { RiskLevel } from "../../contract/readings.ts";
import type { ReplayEvent, ReplaySave, ReplaySession } from "../../contract/replay.ts";
import { replay, type Replayed, type SavePolicy } from "./replay.ts";

/** Entries of each kind that a brief shows. */
export interface BriefCapacity {
  readonly orders: number;
  readonly decided: number;
}

export interface Policy extends SavePolicy {
  readonly brief: BriefCapacity;
}

/**
 * Content that the newest checkpoint lacks. On the machine itself the journal still has it; another
 * machine that continues the session has checkpoints only.
 */
export interface Unsaved {
  readonly toolCalls: number;
  readonly edits: number;
  readonly prompts: number;
  /** Time since the last checkpoint; 0 while nothing is unsaved. */
  readonly seconds: number;
}

export interface Outcome {
  /** Time with events; after five minutes without one a chat counts as idle. */
  readonly activeHours: number;
  /** Means over every active moment as the moment of death. */
  readonly unsaved: Unsaved;
  /** Mean number of orders and decisions that a brief of that moment has no room for. */
  readonly notShown: number;
  readonly saves: number;
  /** Estimated by the recorded checkpoints nearest in time. */
  readonly bytes: number;
  /** Rises to danger or higher. */
  readonly alarms: number;
  /** Seconds in danger or higher without a break until the death; null: it did not die. */
  readonly warnedSeconds: number | null;
  /** At the real death; null: it did not die. */
  readonly atDeath: Unsaved | null;
}

const idleAfterMs = 300_000;
const nothing: Unsaved = { toolCalls: 0, edits: 0, prompts: 0, seconds: 0 };

/** Pure. Takes each active moment of the session as the moment of its death. */
export function outcomeOf(session: ReplaySession, policy: Policy): Outcome {
  const replayed = replay(session, policy);
  const total = integrate(session, replayed, policy.brief);
  const mean = (sum: number): number => (total.activeMs === 0 ? 0 : sum / total.activeMs);
  const { toolCalls, edits, prompts, seconds } = total.sums;
  const newSaves = replayed.saves.filter(({ isNew }) => isNew);
  const isDead = session.end.kind === "died";
  return {
    activeHours: total.activeMs / 3_600_000,
    unsaved: { toolCalls: mean(toolCalls), edits: mean(edits), prompts: mean(prompts), seconds: mean(seconds) },
    notShown: mean(total.notShown),
    saves: newSaves.length,
    bytes: newSaves.reduce((sum, { at }) => sum + (nearestSave(session.saves, at)?.bytes ?? 0), 0),
    alarms: replayed.levels.filter(({ level }, index) => isAlarm(level) && !isAlarm(levelBefore(replayed, index)))
      .length,
    warnedSeconds: isDead ? warnedSeconds(session, replayed) : null,
    atDeath: isDead ? total.last : null,
  };
}

interface Total {
  readonly activeMs: number;
  readonly sums: Unsaved;
  readonly notShown: number;
  readonly last: Unsaved;
}

/** Events and checkpoints split time into parts in which all but the time since a save is constant. */
function integrate({ events, saves: recorded, end }: ReplaySession, { saves }: Replayed, brief: BriefCapacity): Total {
  let activeMs = 0;
  let sums = nothing;
  let hidden = 0;
  let unsaved = nothing;
  let [saved, shown, savedAt] = [0, -1, events[0]?.at ?? 0];
  events.forEach((event, index) => {
    const nextAt = events[index + 1]?.at ?? end.at;
    const until = Math.min(Math.max(nextAt, event.at), event.at + idleAfterMs);
    unsaved = addEvent(unsaved, event);
    let from = event.at;
    while ((recorded[shown + 1]?.at ?? Infinity) <= event.at) shown += 1;
    for (let save = saves[saved]; save && save.events <= index + 1 && save.at <= until; save = saves[++saved]) {
      sums = addTime(sums, unsaved, savedAt, from, save.at);
      [from, savedAt, unsaved] = [Math.max(from, save.at), save.at, nothing];
    }
    sums = addTime(sums, unsaved, savedAt, from, until);
    hidden += notShown(recorded[shown], brief) * (until - event.at);
    activeMs += until - event.at;
    // A checkpoint later in a long pause covers the events before it.
    for (let save = saves[saved]; save && save.events <= index + 1; save = saves[++saved])
      [savedAt, unsaved] = [save.at, nothing];
  });
  const isSaved = unsaved.toolCalls + unsaved.edits + unsaved.prompts === 0;
  return {
    activeMs,
    sums,
    notShown: hidden,
    last: isSaved ? nothing : { ...unsaved, seconds: (end.at - savedAt) / 1_000 },
  };
}

function addEvent(unsaved: Unsaved, { kind, isEdit }: ReplayEvent): Unsaved {
  const isCall = kind === "tool_end" || kind === "tool_error";
  return {
    toolCalls: unsaved.toolCalls + (isCall ? 1 : 0),
    edits: unsaved.edits + (isEdit === true ? 1 : 0),
    prompts: unsaved.prompts + (kind === "prompt" ? 1 : 0),
    seconds: 1,
  };
}

/** @param unsaved its `seconds` is 0 while nothing is unsaved, otherwise 1 */
function addTime(sums: Unsaved, unsaved: Unsaved, savedAt: number, from: number, until: number): Unsaved {
  const ms = Math.max(0, until - from);
  const meanAge = ((from + until) / 2 - savedAt) / 1_000;
  return {
    toolCalls: sums.toolCalls + unsaved.toolCalls * ms,
    edits: sums.edits + unsaved.edits * ms,
    prompts: sums.prompts + unsaved.prompts * ms,
    seconds: sums.seconds + unsaved.seconds * Math.max(0, meanAge) * ms,
  };
}

function notShown(save: ReplaySave | undefined, brief: BriefCapacity): number {
  if (!save?.counts) return 0;
  const { orders, decided } = save.counts;
  return Math.max(0, orders - brief.orders) + Math.max(0, decided - brief.decided);
}

/** @param saves in the order of time */
function nearestSave(saves: readonly ReplaySave[], at: number): ReplaySave | undefined {
  const after = saves.findIndex((save) => save.at >= at);
  if (after === -1) return saves.at(-1);
  const [before, next] = [saves[after - 1], saves[after]];
  return before && next && at - before.at < next.at - at ? before : next;
}

function isAlarm(level: RiskLevel): boolean {
  return level === "danger" || level === "critical";
}

function levelBefore({ levels }: Replayed, index: number): RiskLevel {
  return levels[index - 1]?.level ?? "safe";
}

function warnedSeconds({ end }: ReplaySession, { levels }: Replayed): number {
  const since = levels.findLastIndex(({ level }) => !isAlarm(level)) + 1;
  const rise = levels[since];
  return rise === undefined ? 0 : Math.max(0, end.at - rise.at) / 1_000;
}
