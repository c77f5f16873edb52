import type { Config } from "../../../contract/config.ts";
import type { ReplaySession } from "../../../contract/replay.ts";

/** Input of the detector, which leaves out rows outside the window. */
export interface History {
  /** Epoch ms. */
  readonly now: number;
  readonly windowMs: number;
  readonly config: Config;
  readonly sessions: readonly PastSession[];
  readonly offers: readonly PastOffer[];
  readonly storeBytes: number;
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
  /** Tasks of the last hour by chat. */
  readonly chats: readonly { readonly tasks: number; readonly capacity: number }[];
  /** Absent (null) where the model of an attempt is not recorded. */
  readonly models: readonly ModelOutcomes[] | null;
}

/** Ended tasks of one type. */
export interface TaskTypeHistory {
  /** The user's text: it never becomes a label. */
  readonly type: string;
  readonly tasks: readonly PastTask[];
  readonly runP95Ms: number | null;
}

export interface PastTask {
  /** Time of its end, epoch ms. */
  readonly at: number;
  readonly timeouts: number;
  readonly stalls: number;
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
