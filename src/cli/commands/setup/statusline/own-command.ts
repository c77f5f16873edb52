import { spawn } from "node:child_process";

/** What the client's status line shows is short; a command that prints without end must not fill the memory. */
const maxChars = 65_536;

export interface OwnCommand {
  readonly command: string;
  /** The client's JSON, as SHIM got it. */
  readonly input: string;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly timeoutMs: number;
}

/**
 * Runs the user's own status line command through a shell, as the client did before SHIM stood in its place. Answers what it
 * printed until it ended or was stopped; never rejects.
 */
export function runOwnCommand({ command, input, env, cwd, timeoutMs }: OwnCommand): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  // A group of its own, so that the stop reaches what the shell started.
  const detached = process.platform !== "win32";
  const child = spawn(command, {
    shell: true,
    cwd,
    env,
    detached,
    windowsHide: true,
    stdio: ["pipe", "pipe", "ignore"],
  });
  let output = "";
  const stop = (): void => {
    try {
      if (detached && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      else child.kill("SIGKILL");
    } catch {
      // It ended in the same moment.
    }
    resolve(output);
  };
  const timer = setTimeout(stop, timeoutMs);
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output = (output + text).slice(0, maxChars);
  });
  // A command that reads no input closes it; that is its right.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const end = (): void => {
    clearTimeout(timer);
    resolve(output);
  };
  child.on("error", end);
  child.on("close", end);
  return promise;
}
