import type { PatchFor } from "./host/recording-sql.ts";
import type { Weather } from "./weather.ts";

/** Where a rare thing is looked for: what is done and what goes wrong more often. By name; a factor. */
export interface Focus {
  readonly acts?: Readonly<Record<string, number>>;
  readonly faults?: Readonly<Record<string, number>>;
  /** Share of the renewals after which no other follows. */
  readonly forgets?: number;
  /** Share of the leases that are bound. */
  readonly bound?: number;
  /** Share of the steps of work after which a task is forgotten. */
  readonly neglects?: number;
  /** Mean time between two faults. */
  readonly faultMs?: number;
  /** Share of the days without tasks, with restores. */
  readonly restores?: number;
  readonly weather?: Partial<Weather>;
}

/** How the host is without a planted bug; a bug sets one of these otherwise. */
export const soundHost = {
  hasWatchdog: true,
  /** Every alarm that was ever set is lost. */
  losesAlarms: false,
  /** Conditions, and guards, of a write do not reach the engine. */
  losesConditions: false,
  losesGuards: false,
  /** Every so many a commit is undone, though it is answered; 0: never. */
  forgetsEvery: 0,
  /** The epoch is read once and remembered. */
  remembersEpoch: false,
  /** Leases are granted at any time. */
  ignoresQuiet: false,
  /** Every chat that ever was connected counts as heard just now. */
  hearsGhosts: false,
  /** Pings are not heard. */
  isDeaf: false,
  /** Whatever claim is named is taken for the present one. */
  takesAnyClaim: false,
  /** Requests dispatch in their own commit; a bug on the way through the queue is found without that. */
  dispatchesAtOnce: true,
  /** Made anew for each run: a patch may remember things. */
  patchFor: (): PatchFor => () => undefined,
};
export type HostBugs = Readonly<typeof soundHost>;

/** The same of the client that is shipped: of its clocks, and of the use of what it says. */
export const soundClient = {
  /** Which clocks count; `forward`: a wall clock that was set back is not noticed. */
  clocks: "both" as "both" | "monotonic" | "wall" | "forward" | "slow",
  /** A process that does not answer is reported as dead. */
  attestsTheLiving: false,
  /** A submit without an answer is sent again under another id. */
  submitsAnew: false,
  /** Who takes a task up begins at the beginning. */
  beginsAnew: false,
  /** A result counts although it was refused. */
  countsRefused: false,
  /** A process goes on with a task that it has given back. */
  keepsReturned: false,
  /** Who has room again waits to be told. */
  neverAsks: false,
};
export type ClientBugs = Readonly<typeof soundClient>;

/** The same of what is done by hand. */
export const soundOperator = {
  /** The epoch is not raised after a restore. */
  forgetsToRaise: false,
  /** It is raised, and leases are granted at once. */
  skipsQuiet: false,
};

/** Something that is made wrong on purpose, to see that it is caught. */
export interface Bug {
  readonly name: string;
  /** What a reader of the code would say of it. */
  readonly about: string;
  /** Events in which it is caught, from whatever seed; 30,000 where it does not say. */
  readonly within?: number;
  /** Of one statement of the engine. */
  readonly patch?: () => PatchFor;
  readonly host?: Partial<HostBugs>;
  /** Of a statement for a list; without it frames are left out, where other bugs would be found by the comparison of lists with single requests alone. */
  readonly isInList?: boolean;
  readonly client?: Partial<ClientBugs>;
  readonly operator?: Partial<typeof soundOperator>;
  readonly focus?: Focus;
}
