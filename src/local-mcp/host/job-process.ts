import { fork, type ChildProcess, type ForkOptions } from "node:child_process";
import type { Job, Runtime } from "../../runtime/runtime.ts";

/** A failure has the fields of its error, since a copy of an error has no code. */
export type JobAnswer =
  | { readonly value: unknown }
  | { readonly failure: { readonly message: string; readonly stack: string | undefined } };

/** Time in ms that a process waits for the next job: most turns of a chat follow within it. */
const keptMs = 30_000;

/**
 * Each process does one job at a time. Of those without one the last is kept for a while.
 *
 * @param program of jobs
 */
export function jobsOf(program: string): NonNullable<Runtime["startJob"]> {
  let kept: ChildProcess | null = null;
  let leaving: NodeJS.Timeout | undefined;

  const leave = (child: ChildProcess): void => {
    if (kept === child) kept = null;
    if (child.connected) child.disconnect();
  };
  const keep = (child: ChildProcess): void => {
    if (kept !== null) return leave(child);
    kept = child;
    // An idle process holds up no end of the host.
    child.unref();
    child.channel?.unref();
    leaving = setTimeout(leave, keptMs, child).unref();
  };
  const take = (): ChildProcess => {
    const child = kept;
    kept = null;
    clearTimeout(leaving);
    if (!child?.connected) return startProcess(program);
    child.ref();
    child.channel?.ref();
    return child;
  };

  return (job: Job, signal?: AbortSignal) => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const child = take();
    const abort = (): void => void (child.connected && child.send("abort"));
    const exit = (code: number | null, by: string | null): void =>
      reject(new Error(`the process of ${job.name} ended without an answer (${by ?? code})`));
    child.once("message", (answer: JobAnswer) => {
      for (const [event, listener] of [
        ["error", reject],
        ["exit", exit],
      ] as const)
        child.off(event, listener);
      keep(child);
      if ("value" in answer) resolve(answer.value);
      else reject(Object.assign(new Error(answer.failure.message), answer.failure));
    });
    child.once("error", reject);
    child.once("exit", exit);
    void promise.catch(() => undefined).finally(() => signal?.removeEventListener("abort", abort));
    child.send(job);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    return promise;
  };
}

function startProcess(program: string): ChildProcess {
  const options: ForkOptions & { readonly windowsHide: true } = {
    execArgv: [],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    // Its parent has no console, so on Windows it would open a window.
    windowsHide: true,
  };
  const child = fork(program, options);
  // One that ends while it is kept fails no job.
  return child.on("error", () => undefined);
}
