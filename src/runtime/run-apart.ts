import type { Runtime } from "./runtime.ts";

export type JobName = "takeSnapshot" | "foreseeConflicts" | "dropSnapshots" | "makeBundle" | "undoFiles";

/** A name and input of long work, which can be cloned. */
export interface Job {
  readonly name: JobName;
  readonly input: object;
}

/** Parts of the input that each process has of its own. */
export interface JobContext {
  readonly processes: Runtime["processes"];
  readonly signal?: AbortSignal;
}

/**
 * Does long work in a process of its own, or in this one where none can be started.
 * @param work of that name
 * @throws {Error} what `work` throws, or when that process ends without an answer
 */
export function runApart<Input extends object, Answer>(
  { startJob, processes }: Pick<Runtime, "startJob" | "processes">,
  name: JobName,
  work: (input: Input & JobContext) => Promise<Answer>,
  input: Input,
  signal?: AbortSignal,
): Promise<Answer> {
  if (!startJob) return work({ ...input, processes, ...(signal && { signal }) });
  return startJob({ name, input }, signal) as Promise<Answer>;
}
