import { defaults, type Config } from "../../contract/config.ts";
import type { Sample } from "../../contract/metrics.ts";
import type { ReplaySession } from "../../contract/replay.ts";
import { settingAt } from "../../shared/setting-keys.ts";

/** Input of the detector, which leaves out rows outside the window. */
export interface History {
  /** Epoch ms. */
  readonly now: number;
  readonly windowMs: number;
  readonly config: Config;
  readonly sessions: readonly PastSession[];
  readonly offers: readonly PastOffer[];
  /** Metrics of this machine. */
  readonly machine: readonly Sample[];
  /** Absent (null) where no coordinator answered. */
  readonly team: TeamHistory | null;
  readonly changes: readonly PastChange[];
}

/** A decision of a person on a change by `shim code evolve`, for each rule that it was about. */
export interface PastChange {
  /** Epoch ms. */
  readonly at: number;
  /** A tool and its rule. */
  readonly rule: string;
  readonly isRejected: boolean;
}

export interface PastSession {
  /** Last activity, epoch ms. */
  readonly at: number;
  readonly session: ReplaySession;
}

/** A dead session that was offered to a chat in which the user wrote, or decided by the user. */
export interface PastOffer {
  /** Epoch ms. */
  readonly at: number;
  /** Time from the death to the offer. */
  readonly ageMs: number;
  readonly resolution: "open" | "continued" | "dismissed";
}

export interface TeamHistory {
  readonly taskTypes: readonly TaskTypeHistory[];
  readonly chats: readonly ChatLoad[];
  /** Absent (null) where the audit log may not be read. */
  readonly departures: readonly Departure[] | null;
  /** Absent (null) where the model of an attempt is not recorded. */
  readonly models: readonly ModelOutcomes[] | null;
  readonly balancingIntervalMs: number;
  readonly chatTtlMs: number;
}

/** Ended tasks of one type. */
export interface TaskTypeHistory {
  /** The user's text: it never becomes a label. */
  readonly type: string;
  readonly tasks: readonly PastTask[];
  /** Tasks that are queued now. */
  readonly queued: readonly QueuedTask[];
  readonly runP95Ms: number | null;
}

export interface PastTask {
  /** Time of its end, epoch ms. */
  readonly at: number;
  readonly failed: number;
  readonly timeouts: number;
  readonly stalls: number;
  readonly isPoison: boolean;
}

export interface QueuedTask {
  readonly waitedMs: number;
  /** Chats with free capacity that take this type. */
  readonly idleChats: number;
}

export interface ChatLoad {
  readonly tasks: number;
  readonly capacity: number;
}

/** A chat that went offline without leaving. */
export interface Departure {
  /** Epoch ms. */
  readonly at: number;
  /** The same process registered again within ten minutes. */
  readonly isBack: boolean;
}

/** Outcomes of one model at one task type. */
export interface ModelOutcomes {
  readonly type: string;
  readonly model: string;
  readonly tasks: number;
  readonly accepted: number;
  /** Mean cost of a task in millionths of a dollar. */
  readonly costMicros: number;
}

/** [EX63] Only sessions that ran with the values in force say something about these. */
export function sessionsWith({ sessions, config }: History, keys: readonly string[]): PastSession[] {
  return sessions.filter(({ session: { changed } }) =>
    keys.every((key) => changed !== null && (changed[key] ?? settingAt(defaults, key)) === settingAt(config, key)),
  );
}
