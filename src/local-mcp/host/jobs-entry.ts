/** A process for long work, one piece at a time; it ends when its parent says so, or is gone. */
import { systemProcesses } from "../../platform/processes.ts";
import type { Job, JobContext, JobName } from "../../runtime/runtime.ts";
import { dropSnapshots } from "../../snapshots/drop-snapshots.ts";
import { foreseeConflicts } from "../../snapshots/foresee-conflicts.ts";
import { makeBundle } from "../../snapshots/make-bundle.ts";
import { takeSnapshot } from "../../snapshots/take-snapshot.ts";
import { undoFiles, writePlanned } from "../../snapshots/undo-files.ts";
import type { JobAnswer } from "./job-process.ts";

const jobs: Record<JobName, (input: never) => Promise<unknown>> = {
  takeSnapshot,
  foreseeConflicts,
  dropSnapshots,
  makeBundle,
  undoFiles,
  writePlanned,
};

let abort = new AbortController();

function send(message: JobAnswer): void {
  if (process.connected) process.send?.(message);
}

process.on("message", (message: Job | "abort") => {
  if (message === "abort") return abort.abort();
  abort = new AbortController();
  const context: JobContext = { processes: systemProcesses, signal: abort.signal };
  const answer = jobs[message.name]({ ...message.input, ...context } as never);
  void answer.then(
    (value) => send({ value }),
    ({ message, stack, ...codes }: Error) => send({ failure: { message, stack, ...codes } }),
  );
});
// Without its parent nothing keeps this process but the job that it has begun.
process.once("disconnect", () => abort.abort());
