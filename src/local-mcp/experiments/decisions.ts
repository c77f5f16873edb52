import { isRunning, type Experiment } from "../../experiments/engine/experiment.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Result } from "../../shared/result.ts";
import { record, type MachineAction } from "../audit/machine-audit.ts";
import * as rows from "./experiment-rows.ts";
import { advanceAll, allow, start, stopAll, stopOne, type NewExperiment, type StartError } from "./experiments.ts";

/** [EX58] Decisions about experiments, each with an entry in the machine's audit log. */

type By = MachineAction["by"];

export function decideStart(runtime: Runtime, by: By, given: NewExperiment): Result<Experiment, StartError> {
  const started = start(runtime, given);
  if (started.ok) log(runtime, by, "experiment.started", started.value);
  return started;
}

function canRevert(experiment: Experiment): boolean {
  return isRunning(experiment) || experiment.state === "kept";
}

/** @returns null where nothing is left to end: unknown, or over */
export function decideEnd(runtime: Runtime, by: By, id: string, isRevert: boolean): Experiment | null {
  const stored = runtime.store.read((sql) => rows.get(sql, id), null);
  if (!stored || !(isRevert ? canRevert : isRunning)(stored.experiment)) return null;
  const ended = stopOne(runtime, id, isRevert ? "reverted by hand" : "stopped by hand", isRevert);
  if (ended) log(runtime, by, isRevert ? "experiment.reverted" : "experiment.stopped", ended);
  return ended;
}

/** @returns those that were running */
export function decideStopAll(runtime: Runtime, by: By): Experiment[] {
  const stopped = stopAll(runtime, "stopped by hand, with all");
  for (const one of stopped) log(runtime, by, "experiment.stopped", one);
  record(runtime, { kind: "experiments.off", session: null, by, result: "done" });
  return stopped;
}

/** @returns false where they were allowed already */
export function decideAllow(runtime: Runtime, by: By): boolean {
  const isOff = runtime.store.read(rows.offSince, null) !== null;
  if (isOff) {
    allow(runtime);
    record(runtime, { kind: "experiments.allowed", session: null, by, result: "done" });
  }
  advanceAll(runtime);
  return isOff;
}

/** `rolling_back`: the file could not be written yet; the next process writes it. */
function log(runtime: Runtime, by: By, kind: MachineAction["kind"], { id, state }: Experiment): void {
  record(runtime, { kind, session: null, experiment: id, by, result: state === "rolling_back" ? state : "done" });
}
