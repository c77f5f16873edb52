import { codeOf, messageOf } from "../../../../shared/error.ts";
import { err, ok, type Result } from "../../../../shared/result.ts";
import { exitCodes, type FailedResult } from "../../../answer.ts";
import type { Cli } from "../../../cli.ts";
import type { CommandLease } from "./command-lease.ts";

export type CommandWords = readonly [program: string, ...args: string[]];

export type RunEnd =
  | { readonly end: "exit"; readonly exit: number }
  | { readonly end: "lost"; readonly reason: string };

/** [CL33] [CL100] Runs a command until it ends, its lease is lost, or it is interrupted. */
export async function runUnder(
  { io }: Cli,
  { lost }: CommandLease,
  [command, ...args]: CommandWords,
  extraEnv: Readonly<Record<string, string>>,
  stop: AbortSignal,
): Promise<Result<RunEnd, FailedResult["error"]>> {
  const group = io.startGroup({ command, args, cwd: io.cwd, env: { ...io.env, ...extraEnv } });
  const stopOrLost = AbortSignal.any([stop, lost]);
  const end = (): void => void group.end(graceMs);
  stopOrLost.addEventListener("abort", end, { once: true });
  if (stopOrLost.aborted) end();
  try {
    const exit = await group.ended;
    return ok(lost.aborted ? { end: "lost", reason: String(lost.reason) } : { end: "exit", exit });
  } catch (error) {
    return notStarted(command, error);
  } finally {
    stopOrLost.removeEventListener("abort", end);
  }
}

const graceMs = 5_000;

function notStarted(command: string, error: unknown): FailedResult {
  const isMissing = codeOf(error) === "ENOENT";
  const message = isMissing ? `there is no program ${command}.` : `${command} cannot be started: ${messageOf(error)}.`;
  return err({ exit: isMissing ? exitCodes.noSuchProgram : exitCodes.notStartable, code: "not_started", message });
}
