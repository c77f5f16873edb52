import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Runtime } from "../runtime/runtime.ts";
import { dropSnapshots } from "./drop-snapshots.ts";
import { makeBundle } from "./make-bundle.ts";
import { takeSnapshot } from "./take-snapshot.ts";

export const jobs = { takeSnapshot, dropSnapshots, makeBundle };

type Jobs = typeof jobs;
type Input<J extends keyof Jobs> = Omit<Parameters<Jobs[J]>[0], "env" | "processes" | "signal">;
type Answer<J extends keyof Jobs> = ReturnType<Jobs[J]>;

export interface JobRequest {
  readonly job: keyof Jobs;
  readonly input: Input<keyof Jobs> & Pick<Runtime, "env">;
}

/**
 * [GS25] Runs a job in a process of its own, since lists of all files of a project would hold up
 * the other chats. Claude Desktop's bundle has no such program and can start no process.
 * @throws {Error} when the process ends without an answer
 */
export function runJob<J extends keyof Jobs>(
  { launch, env, processes }: Pick<Runtime, "launch" | "env" | "processes">,
  job: J,
  input: Input<J>,
  signal?: AbortSignal,
): Answer<J> {
  const program = join(dirname(launch.hookScript), "mcp-snapshots.cjs");
  const run = jobs[job] as (input: object) => Answer<J>;
  if (!existsSync(program)) return run({ ...input, env, processes, signal });
  const { promise, resolve, reject } = Promise.withResolvers<Awaited<Answer<J>>>();
  const child = fork(program, {
    execPath: launch.node,
    execArgv: [],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    windowsHide: true,
  } as object);
  const abort = (): void => void (child.connected && child.send("abort"));
  child.once("message", resolve);
  child.once("error", reject);
  child.once("exit", (code, by) => {
    signal?.removeEventListener("abort", abort);
    reject(new Error(`the process of ${job} ended without an answer (${by ?? code})`));
  });
  child.send({ job, input: { ...input, env: { ...env } } });
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  return promise as Answer<J>;
}
