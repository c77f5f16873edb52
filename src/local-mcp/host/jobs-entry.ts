/** The process of one long piece of work. It ends early when its parent says so, or is gone. */
import { systemProcesses } from "../../platform/processes.ts";
import type { Job, JobContext, JobName } from "../../runtime/run-apart.ts";
import { dropSnapshots } from "../../snapshots/drop-snapshots.ts";
import { foreseeConflicts } from "../../snapshots/foresee-conflicts.ts";
import { makeBundle } from "../../snapshots/make-bundle.ts";
import { takeSnapshot } from "../../snapshots/take-snapshot.ts";
import { undoFiles } from "../../snapshots/undo-files.ts";
import type { JobAnswer } from "./job-process.ts";

const jobs: Record<JobName, (input: never) => Promise<unknown>> = {
  takeSnapshot,
  foreseeConflicts,
  dropSnapshots,
  makeBundle,
  undoFiles,
};

function send(message: JobAnswer): void {
  if (process.connected) process.send?.(message, () => process.disconnect());
}

process.once("message", ({ name, input }: Job) => {
  const abort = new AbortController();
  for (const event of ["message", "disconnect"]) process.once(event, () => abort.abort());
  const context: JobContext = { processes: systemProcesses, signal: abort.signal };
  const answer = jobs[name]({ ...input, ...context } as never);
  void answer.then(
    (value) => send({ value }),
    ({ message, stack, ...codes }: Error) => send({ failure: { message, stack, ...codes } }),
  );
});
