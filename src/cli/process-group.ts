import { spawn } from "node:child_process";
import { endGroup, exitCode, groupOf, hasGroups } from "../platform/process-group.ts";
import { programPath } from "../platform/program-path.ts";
import type { ProcessGroup, ProcessStart } from "./io.ts";

/** Forwarded to the group; a second Ctrl-C must not leave it running. */
const forwardedSignals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGTSTP"] as const;

function leave(): void {}

/** Runs without a shell. Windows has no groups: there only the program itself is ended. */
export function startGroup({
  command,
  args,
  cwd,
  env,
}: ProcessStart & { readonly env: NodeJS.ProcessEnv }): ProcessGroup {
  const { promise: ended, resolve, reject } = Promise.withResolvers<number>();
  for (const signal of forwardedSignals) process.on(signal, leave);
  const child = spawn(programPath(command, env), args, { cwd, env, stdio: "inherit", detached: hasGroups });
  const group = child.pid === undefined ? null : groupOf(child.pid);
  child.on("error", reject);
  child.on("exit", (code, signal) => resolve(exitCode(code, signal)));
  let ending = Promise.resolve();
  const whole = async (): Promise<number> => {
    try {
      return await ended;
    } finally {
      await ending;
      for (const signal of forwardedSignals) process.off(signal, leave);
    }
  };
  return {
    ended: whole(),
    end: (graceMs) => {
      if (group) ending = endGroup(group, graceMs);
      return ending;
    },
  };
}
