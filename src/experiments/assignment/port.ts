/** The port between an experiment, the service that assigns its units, and the store. */
import type { Experiment } from "./experiment.ts";
import type { Name, Unit } from "./names.ts";

export interface Assignment {
  readonly experiment: Name;
  readonly unit: Unit;
  readonly arm: Name;
  /** Only an assigned unit counts; all others have control, or the arm of an override. */
  readonly reason: "assigned" | "excluded" | "overridden" | "off" | "late" | "failed";
}

export interface Exposure {
  readonly experiment: Name;
  readonly unit: Unit;
  readonly arm: Name;
}

export interface Outcome {
  readonly experiment: Name;
  readonly unit: Unit;
  readonly metric: Name;
  readonly value: number;
}

export interface AssignmentPort {
  /**
   * Never fails, and takes no longer than the bounded wait: control is the answer where there is
   * none.
   */
  assign(experiment: Experiment, unit: Unit): Promise<Assignment>;
  /**
   * Once per unit and experiment, when the arm has its effect; for units that are not assigned
   * nothing happens.
   */
  expose(assignment: Assignment): Promise<void>;
  /** @throws {RangeError} for a value that is not finite */
  record(outcome: Outcome): Promise<void>;
  /**
   * Gives all units of an experiment an arm, "off" control; null ends it. For "*" only "off" and
   * null: off switches every experiment off, without asking an adapter anything, until null.
   */
  override(experiment: "*", arm: "off" | null): void;
  override(experiment: Name, arm: Name | "off" | null): void;
  /** Sends what an adapter has kept, within the bounded wait. */
  flush(): Promise<void>;
}

/**
 * Decides which arm a unit gets: the local hash, or a service by its package. It gets nothing but
 * hashed ids, names and numbers.
 */
export interface Assigner {
  /** @returns null where the unit is not in the experiment, or the arm is none of it */
  readonly choose: (experiment: Experiment, unit: Unit) => Promise<Name | null>;
  readonly expose: (exposure: Exposure) => Promise<void>;
  readonly record: (outcome: Outcome) => Promise<void>;
  readonly flush: () => Promise<void>;
  /** Sends the rest and ends the adapter; absent where nothing is left to end. */
  readonly close?: () => Promise<void>;
}

/** The store's side. */
export interface AssignmentSink {
  /**
   * @returns true where the unit had no exposure in the experiment; of several the first is kept
   */
  insertExposure(exposure: Exposure): boolean | Promise<boolean>;
  insertOutcome(outcome: Outcome): void | Promise<void>;
}
