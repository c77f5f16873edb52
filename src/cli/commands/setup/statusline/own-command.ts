import { spawn } from "node:child_process";

const maxChars = 65_536;

export interface OwnCommand {
  readonly command: string;
  readonly input: string;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly timeoutMs: number;
}

/** Runs the user's command through a shell, as the client did before SHIM; never rejects. */
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
      // The command ended in the same moment.
    }
    resolve(output);
  };
  const timer = setTimeout(stop, timeoutMs);
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output = (output + text).slice(0, maxChars);
  });
  // A command may close its input unread.
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
