import { spawn } from "node:child_process";
import { stateWords } from "../../contract/chat-state.ts";
import type { ChatStatus } from "../../contract/machine/overview.ts";
import { readConfig } from "../../platform/config-file.ts";
import { age, oneLine, pluralize } from "../../shared/format.ts";
import { safeText } from "../screen-text.ts";

const ownTimeoutMs = 2_000;
/** Set for the user's command, so that one which leads back here ends. */
const recursionGuard = "SHIM_STATUSLINE";

interface LineHost {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly configPath: string;
  readonly statusOf: (input: string) => Promise<ChatStatus>;
}

interface StatusLineParts {
  readonly own: string;
  readonly status: ChatStatus | null;
}

export async function chainedLine(host: LineHost, input: string): Promise<StatusLineParts> {
  // Without SQLite the user's own line is still shown; `shim doctor` reports the cause.
  const [own, status] = await Promise.all([ownLine(host, input), host.statusOf(input).catch(() => null)]);
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

export function renderStatus(status: ChatStatus): string {
  const { session, died, trouble } = status;
  const parts = [
    ...(trouble === null ? [] : [trouble]),
    ...(trouble !== null && session === null ? [] : ownParts(status)),
    ...chatParts(status),
    ...(died > 0 ? [`${died} ${stateWords.died}`] : []),
  ];
  const said = status.notices.map((text) => `\nSHIM: ${oneLine(text, 150)}`).join("");
  return `SHIM: ${parts.join(" | ")}${said}\n`;
}

/** Empty for a chat that has an offer and nothing of its own that could be lost. */
function ownParts({ savedMsAgo, risk, offered, continued }: ChatStatus): string[] {
  const riskParts = risk ? [`risk ${risk.score} ${risk.level}`] : [];
  if (savedMsAgo !== null) return [`saved ${age(savedMsAgo)} ago`, ...riskParts];
  return offered.length + continued.length > 0 ? [] : ["not saved yet", ...riskParts];
}

function chatParts({ offered, continued, messages, waits, stuck }: ChatStatus): string[] {
  return [
    ...(offered.length > 0 ? [`can be continued: ${offered.join(", ")}`] : []),
    ...(continued.length > 0 ? [`continues ${continued.join(", ")}`] : []),
    ...(messages > 0 ? [pluralize(messages, "message")] : []),
    ...(waits > 0 ? [`${waits} ${stateWords.waits}`] : []),
    ...(stuck > 0 ? [`${stuck} ${stateWords.stuck}`] : []),
  ];
}
