import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Runtime } from "./runtime.ts";

export type JobName = "takeSnapshot" | "dropSnapshots" | "makeBundle" | "writeCleanCopy";

export interface Job {
  readonly name: JobName;
  readonly input: object;
}

/** A failure has the fields of its error, since a copy of an error has no code. */
export type JobAnswer =
  | { readonly value: unknown }
  | { readonly failure: { readonly message: string; readonly stack: string | undefined } };

/** What a process has of its own. */
export interface JobContext {
  readonly processes: Runtime["processes"];
  readonly signal?: AbortSignal;
}

type Work<Input, Answer> = (input: Input & JobContext) => Promise<Answer>;

/**
 * [PR39] Runs long work in a process of its own, so that it holds up no chat. Claude Desktop's
 * bundle has no such program and can start no process.
 * @param input can be cloned
 * @throws {Error} what `work` throws, or when that process ends without an answer
 */
export function runApart<Input extends object, Answer>(
  { launch, processes }: Pick<Runtime, "launch" | "processes">,
  name: JobName,
  work: Work<Input, Answer>,
  input: Input,
  signal?: AbortSignal,
): Promise<Answer> {
  const program = join(dirname(launch.hookScript), "mcp-jobs.cjs");
  if (!existsSync(program)) return work({ ...input, processes, ...(signal && { signal }) });
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const child = fork(program, {
    execPath: launch.node,
    execArgv: [],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const abort = (): void => void (child.connected && child.send("abort"));
  child.once("message", (answer: JobAnswer) => {
    if ("value" in answer) resolve(answer.value as Answer);
    else reject(Object.assign(new Error(answer.failure.message), answer.failure));
  });
  child.once("error", reject);
  child.once("exit", (code, by) => {
    signal?.removeEventListener("abort", abort);
    reject(new Error(`the process of ${name} ended without an answer (${by ?? code})`));
  });
  child.send({ name, input } satisfies Job);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  return promise;
}
