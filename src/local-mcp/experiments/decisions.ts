import { isRunning, type Experiment } from "../../experiments/engine/experiment.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { HostResult } from "../../shared/host-result.ts";
import { flush } from "../audit/machine-audit.ts";
import * as rows from "./experiment-rows.ts";
import { advanceAll, allow, start, stopAll, stopOne, type By, type NewExperiment } from "./experiments.ts";

/** [EX58] Decisions about experiments, each with an entry in the machine's audit log. */

export function decideStart(runtime: Runtime, by: By, given: NewExperiment): HostResult<Experiment> {
  const started = start(runtime, given, by);
  flush(runtime);
  return started;
}

function canRevert(experiment: Experiment): boolean {
  return isRunning(experiment) || experiment.state === "kept";
}

/** @returns null where nothing is left to end: unknown, or over */
export function decideEnd(runtime: Runtime, by: By, id: string, isRevert: boolean): Experiment | null {
  const stored = runtime.store.read((sql) => rows.get(sql, id), null);
  if (!stored || !(isRevert ? canRevert : isRunning)(stored.experiment)) return null;
  const ended = stopOne(runtime, id, isRevert ? "reverted by hand" : "stopped by hand", isRevert, by);
  flush(runtime);
  return ended;
}

/** @returns those that were running */
export function decideStopAll(runtime: Runtime, by: By): Experiment[] {
  const stopped = stopAll(runtime, "stopped by hand, with all", by);
  flush(runtime);
  return stopped;
}

/** @returns false where they were allowed already */
export function decideAllow(runtime: Runtime, by: By): boolean {
  const isOff = allow(runtime, by);
  advanceAll(runtime);
  return isOff;
}
