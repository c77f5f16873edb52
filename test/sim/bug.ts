import type { PatchFor } from "./host/recording-sql.ts";
import type { Rule } from "./sim.ts";

/** A day on which some acts and faults are more frequent, so that a run meets a rare case early. */
export interface Focus {
  /** Factors of the weights of acts and of faults, by name. */
  readonly acts?: Readonly<Record<string, number>>;
  readonly faults?: Readonly<Record<string, number>>;
  /** Share of the renewals after which a lease is renewed no more. */
  readonly forgets?: number;
  /** Share of the steps of work after which a process drops its task without a word. */
  readonly neglects?: number;
  /** Mean time between two faults. */
  readonly faultMs?: number;
  /** Share of the days without tasks, on which backups are restored. */
  readonly restores?: number;
}

/** A defect planted outside the engine, to show that the simulation finds its kind. */
export interface Bug {
  readonly name: string;
  /** The law that it breaks. */
  readonly law: string;
  /** The rule of the oracle that reports it. */
  readonly rule: Rule;
  /** A seed that finds it early. */
  readonly seed: number;
  /** Events within which every seed finds it. */
  readonly within?: number;
  /** Changes statements between the engine and its database. */
  readonly patch?: () => PatchFor;
  /** Processes measure trust by their monotonic clock alone, which stops in a sleep. */
  readonly ignoresWallClock?: boolean;
  /** The operator does not raise the epoch after a restore. */
  readonly forgetsToRaise?: boolean;
  readonly focus?: Focus;
}
