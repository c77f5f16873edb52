import type { PatchFor } from "./tap.ts";

/** What a planted bug breaks in the host. */
export interface HostQuirks {
  readonly rearms: boolean;
  readonly hasWatchdog: boolean;
  /** Every alarm that was ever set is lost. */
  readonly losesAlarms: boolean;
  /** Conditions, and guards, of a write do not reach the engine. */
  readonly losesConditions: boolean;
  readonly losesGuards: boolean;
  /** Every so many a commit is undone, though it is answered; 0: never. */
  readonly forgetsEvery: number;
  /** The epoch is read once and remembered. */
  readonly remembersEpoch: boolean;
  /** Leases are granted at any time. */
  readonly ignoresQuiet: boolean;
  /** Every chat that ever was connected counts as heard just now. */
  readonly hearsGhosts: boolean;
  /** Pings are not heard. */
  readonly isDeaf: boolean;
  /** The clock of every second request is ahead by so many ms. */
  readonly skewMs: number;
  /** Whatever claim is named is taken for the present one. */
  readonly takesAnyClaim: boolean;
  /** No token reaches the queue. */
  readonly losesTokens: boolean;
  /** Made anew for each run: a patch may remember things. */
  readonly patchFor: () => PatchFor;
}

export const soundHost: HostQuirks = {
  rearms: true,
  hasWatchdog: true,
  losesAlarms: false,
  losesConditions: false,
  losesGuards: false,
  forgetsEvery: 0,
  remembersEpoch: false,
  ignoresQuiet: false,
  hearsGhosts: false,
  isDeaf: false,
  skewMs: 0,
  takesAnyClaim: false,
  losesTokens: false,
  patchFor: () => () => undefined,
};
