import { fork } from "node:child_process";
import type { Job } from "../../runtime/run-apart.ts";
import type { Runtime } from "../../runtime/runtime.ts";

/** A failure has the fields of its error, since a copy of an error has no code. */
export type JobAnswer =
  | { readonly value: unknown }
  | { readonly failure: { readonly message: string; readonly stack: string | undefined } };

/** @param program of jobs */
export function jobsOf(program: string): NonNullable<Runtime["startJob"]> {
  return (job: Job, signal?: AbortSignal) => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const child = fork(program, {
      execArgv: [],
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const abort = (): void => void (child.connected && child.send("abort"));
    child.once("message", (answer: JobAnswer) => {
      if ("value" in answer) resolve(answer.value);
      else reject(Object.assign(new Error(answer.failure.message), answer.failure));
    });
    child.once("error", reject);
    child.once("exit", (code, by) => {
      signal?.removeEventListener("abort", abort);
      reject(new Error(`the process of ${job.name} ended without an answer (${by ?? code})`));
    });
    child.send(job);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    return promise;
  };
}
