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
