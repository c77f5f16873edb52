import { spawn } from "node:child_process";
import { constants } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { codeOf } from "../shared/error.ts";
import { programPath } from "../local-mcp/program-path.ts";
import type { ProcessGroup, ProcessStart } from "./io.ts";

const isWindows = process.platform === "win32";
/** While a group runs these are for it, and a second Ctrl-C must not leave it behind. */
const heard = ["SIGINT", "SIGTERM", "SIGHUP", "SIGTSTP"] as const;
const lookEveryMs = 50;

function leave(): void {}

/** Without a shell. On Windows there are no groups: there it is the program alone. */
export function startGroup({
  command,
  args,
  cwd,
  env,
}: ProcessStart & { readonly env: NodeJS.ProcessEnv }): ProcessGroup {
  const { promise: ended, resolve, reject } = Promise.withResolvers<number>();
  for (const signal of heard) process.on(signal, leave);
  const child = spawn(programPath(command, env), args, { cwd, env, stdio: "inherit", detached: !isWindows });
  child.on("error", reject);
  child.on("exit", (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  let ending = Promise.resolve();
  const whole = async (): Promise<number> => {
    try {
      return await ended;
    } finally {
      await ending;
      for (const signal of heard) process.off(signal, leave);
    }
  };
  return {
    ended: whole(),
    end: (graceMs) => {
      const { pid } = child;
      if (pid !== undefined) ending = endAll(isWindows ? pid : -pid, graceMs);
      return ending;
    },
  };
}

async function endAll(target: number, graceMs: number): Promise<void> {
  const until = performance.now() + graceMs;
  let isThere = tell(target, "SIGTERM");
  while (isThere && performance.now() < until) {
    await pause(lookEveryMs);
    isThere = tell(target, 0);
  }
  if (isThere) tell(target, "SIGKILL");
}

/** @returns false: there is no such process any more */
function tell(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(target, signal);
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}
