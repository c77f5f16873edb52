/** The port over an assigner: overrides, the kill switch, bounded waits, one exposure a unit. */
import { messageOf } from "../../shared/error.ts";
import type { Experiment } from "./experiment.ts";
import type { Name, Unit } from "./names.ts";
import type { Assigner, Assignment, AssignmentPort, AssignmentSink, Outcome } from "./port.ts";

export interface AssignmentDeps {
  readonly assigner: Assigner;
  readonly sink: AssignmentSink;
  /** Calls `work` once after `ms`. @returns cancels; harmless after the call */
  readonly setTimer: (work: () => void, ms: number) => () => void;
  /** The longest wait for the assigner. */
  readonly waitMs: number;
  /** Hears of an assigner that failed or was late. */
  readonly onProblem: (problem: string) => void;
}

type Answer<T> = { readonly value: T } | { readonly reason: "late" | "failed" };

export class Assignments implements AssignmentPort {
  readonly #deps: AssignmentDeps;
  readonly #overrides = new Map<Name | "*", Name | "off">();

  constructor(deps: AssignmentDeps) {
    this.#deps = deps;
  }

  async assign(experiment: Experiment, unit: Unit): Promise<Assignment> {
    const before = this.#overridden(experiment, unit);
    if (before !== null) return before;
    const answer = await this.#ask("assign", () => this.#deps.assigner.choose(experiment, unit));
    const since = this.#overridden(experiment, unit);
    if (since !== null) return since;
    const { name, arms } = experiment;
    const control: Assignment = { experiment: name, unit, arm: arms[0].name, reason: "excluded" };
    if ("reason" in answer) return { ...control, reason: answer.reason };
    const chosen = arms.find((arm) => arm.name === answer.value);
    return chosen === undefined ? control : { ...control, arm: chosen.name, reason: "assigned" };
  }

  async expose({ experiment, unit, arm, reason }: Assignment): Promise<void> {
    if (reason !== "assigned") return;
    const exposure = { experiment, unit, arm };
    if (!(await this.#deps.sink.insertExposure(exposure)) || this.#isOff(experiment)) return;
    await this.#ask("expose", () => this.#deps.assigner.expose(exposure));
  }

  async record({ experiment, unit, metric, value }: Outcome): Promise<void> {
    if (!Number.isFinite(value)) throw new RangeError(`The outcome ${metric} is no finite number.`);
    const outcome = { experiment, unit, metric, value };
    await this.#deps.sink.insertOutcome(outcome);
    if (!this.#isOff(experiment)) await this.#ask("record", () => this.#deps.assigner.record(outcome));
  }

  override(experiment: "*", arm: "off" | null): void;
  override(experiment: Name, arm: Name | "off" | null): void;
  override(experiment: Name | "*", arm: Name | "off" | null): void {
    if (arm === null) this.#overrides.delete(experiment);
    else this.#overrides.set(experiment, arm);
  }

  async flush(): Promise<void> {
    if (!this.#overrides.has("*")) await this.#ask("flush", () => this.#deps.assigner.flush());
  }

  #isOff(experiment: Name): boolean {
    return this.#overrides.has("*") || this.#overrides.get(experiment) === "off";
  }

  #overridden({ name, arms }: Experiment, unit: Unit): Assignment | null {
    const control = arms[0].name;
    if (this.#isOff(name)) return { experiment: name, unit, arm: control, reason: "off" };
    const forced = this.#overrides.get(name);
    if (forced === undefined) return null;
    const arm = arms.find((one) => one.name === forced)?.name ?? control;
    return { experiment: name, unit, arm, reason: "overridden" };
  }

  async #ask<T>(what: string, work: () => Promise<T>): Promise<Answer<T>> {
    const { setTimer, waitMs, onProblem } = this.#deps;
    const late = Promise.withResolvers<Answer<T>>();
    const cancelTimer = setTimer(() => {
      onProblem(`${what}: no answer within ${waitMs} ms`);
      late.resolve({ reason: "late" });
    }, waitMs);
    const answer = settled(work, (problem) => onProblem(`${what}: ${problem}`));
    return Promise.race([answer, late.promise]).finally(cancelTimer);
  }
}

/** An assigner that throws at once has failed, like one that rejects. */
async function settled<T>(work: () => Promise<T>, onProblem: (problem: string) => void): Promise<Answer<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    onProblem(messageOf(error));
    return { reason: "failed" };
  }
}
