import type { RiskLevel } from "../../contract/readings.ts";
import type { ReplayEvent, ReplaySave, ReplaySession, StateCounts } from "../../contract/replay.ts";
import { replay, type Replayed, type ReplayedSave, type SavePolicy } from "./replay.ts";

/** Prompts that a brief may quote, besides the first. */
export interface BriefCapacity {
  readonly prompts: number;
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
  /** Mean number of prompts that a brief of that moment does not quote. */
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

export const idleAfterMs = 300_000;
const nothing: Unsaved = { toolCalls: 0, edits: 0, prompts: 0, seconds: 0 };

/** Pure. Takes each active moment of the session as the moment of its death. */
export function outcomeOf(session: ReplaySession, policy: Policy): Outcome {
  const replayed = replay(session, policy);
  const { events, saves, end } = session;
  const total = new Integral(replayed.saves, events[0]?.at ?? 0);
  const shown = new Shown(saves, policy.brief);
  events.forEach((event, index) => {
    shown.add(event.at, total.add(event, index + 1, events[index + 1]?.at ?? end.at));
  });
  const mean = (sum: number): number => (total.activeMs === 0 ? 0 : sum / total.activeMs);
  const { toolCalls, edits, prompts, seconds } = total.sums;
  const newSaves = replayed.saves.filter(({ isNew }) => isNew);
  const isDead = end.kind === "died";
  return {
    activeHours: total.activeMs / 3_600_000,
    unsaved: { toolCalls: mean(toolCalls), edits: mean(edits), prompts: mean(prompts), seconds: mean(seconds) },
    notShown: mean(shown.sum),
    saves: newSaves.length,
    bytes: newSaves.reduce((sum, { at }) => sum + (nearestSave(saves, at)?.bytes ?? 0), 0),
    alarms: replayed.levels.filter(({ level }, index) => isAlarm(level) && !isAlarm(levelBefore(replayed, index)))
      .length,
    warnedSeconds: isDead ? warnedSeconds(session, replayed) : null,
    atDeath: isDead ? total.unsavedAt(end.at) : null,
  };
}

/** Between two events or checkpoints all but the time since a save is constant. */
class Integral {
  readonly #saves: readonly ReplayedSave[];
  #saved = 0;
  #savedAt: number;
  #unsaved = nothing;
  activeMs = 0;
  sums = nothing;

  constructor(saves: readonly ReplayedSave[], startedAt: number) {
    this.#saves = saves;
    this.#savedAt = startedAt;
  }

  /** @param until the next event, or the end @returns the active time after the event, in ms */
  add(event: ReplayEvent, events: number, until: number): number {
    this.#unsaved = addEvent(this.#unsaved, event);
    const idleAt = Math.min(Math.max(until, event.at), event.at + idleAfterMs);
    let from = event.at;
    for (let save = this.#saves[this.#saved]; save && save.events <= events; save = this.#saves[++this.#saved]) {
      // A checkpoint in a long pause covers the events before it, too.
      const at = Math.min(save.at, idleAt);
      this.#addTime(from, at);
      [from, this.#savedAt, this.#unsaved] = [Math.max(from, at), save.at, nothing];
    }
    this.#addTime(from, idleAt);
    this.activeMs += idleAt - event.at;
    return idleAt - event.at;
  }

  unsavedAt(end: number): Unsaved {
    return this.#unsaved.seconds === 0 ? nothing : { ...this.#unsaved, seconds: (end - this.#savedAt) / 1_000 };
  }

  #addTime(from: number, until: number): void {
    this.sums = addTime(this.sums, this.#unsaved, this.#savedAt, from, until);
  }
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

/** Prompts of the newest recorded checkpoint that the brief does not quote, times ms. */
class Shown {
  readonly #saves: readonly ReplaySave[];
  readonly #brief: BriefCapacity;
  #next = 0;
  #notShown = 0;
  sum = 0;

  constructor(saves: readonly ReplaySave[], brief: BriefCapacity) {
    this.#saves = saves;
    this.#brief = brief;
  }

  add(at: number, activeMs: number): void {
    for (let save = this.#saves[this.#next]; save && save.at <= at; save = this.#saves[++this.#next])
      if (save.counts) this.#notShown = notShown(save.counts, this.#brief);
    this.sum += this.#notShown * activeMs;
  }
}

function notShown({ prompts }: StateCounts, brief: BriefCapacity): number {
  return Math.max(0, prompts - 1 - brief.prompts);
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
