/** The process of one job of snapshots. It ends early when its parent says so, or is gone. */
import { systemProcesses } from "../platform/processes.ts";
import { jobs, type JobRequest } from "./snapshot-process.ts";

process.once("message", ({ job, input }: JobRequest) => {
  const abort = new AbortController();
  for (const event of ["message", "disconnect"]) process.once(event, () => abort.abort());
  const run = jobs[job] as (input: object) => Promise<object>;
  void run({ ...input, processes: systemProcesses, signal: abort.signal }).then((answer) => {
    if (process.connected) process.send?.(answer, () => process.disconnect());
  });
});
