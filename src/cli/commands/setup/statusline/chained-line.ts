import { spawn } from "node:child_process";
import type { ChatStatus } from "../../../../contract/machine/status-line.ts";
import { readConfig } from "../../../../platform/config-file.ts";
import { safeText } from "../../../screen-text.ts";
import { renderStatus } from "./render-status.ts";

const ownTimeoutMs = 2_000;
/** Set for the user's command, so that one which leads back here ends. */
const recursionGuard = "SHIM_STATUSLINE";

interface LineHost {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly configPath: string;
  readonly statusOf: (input: string) => Promise<ChatStatus | null>;
}

interface StatusLineParts {
  readonly own: string;
  readonly status: ChatStatus | null;
}

export async function chainedLine(host: LineHost, input: string): Promise<StatusLineParts> {
  const [own, status] = await Promise.all([ownLine(host, input), ourStatus(host, input)]);
  return { own, status };
}

export function renderLine({ own, status }: StatusLineParts): string {
  const first = own === "" || own.endsWith("\n") ? own : `${own}\n`;
  return `${first}${status ? safeText(renderStatus(status)) : ""}`;
}

async function ownLine({ env, cwd, configPath }: LineHost, input: string): Promise<string> {
  const config = readConfig(configPath);
  const command = config.ok ? config.value.statusLine : null;
  if (command === null || env[recursionGuard] !== undefined) return "";
  return runOwnCommand({ command, input, env: { ...env, [recursionGuard]: "1" }, cwd, timeoutMs: ownTimeoutMs });
}

async function ourStatus({ statusOf }: LineHost, input: string): Promise<ChatStatus | null> {
  try {
    return await statusOf(input);
  } catch {
    // Without SQLite the user's own line is still shown; `shim doctor` reports the cause.
    return null;
  }
}

const maxChars = 65_536;

interface OwnCommand {
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
