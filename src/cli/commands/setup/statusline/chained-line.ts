import { readConfig } from "../../../../platform/config-file.ts";
import type { Runtime } from "../../../../runtime/runtime.ts";
import { safeText } from "../../../screen-text.ts";
import { runOwnCommand } from "./own-command.ts";
import { renderStatus, statusOf, type Status } from "./status-line.ts";

const ownTimeoutMs = 2_000;
/** Set for the user's command, so that one which leads back here ends. */
const recursionGuard = "SHIM_STATUSLINE";

export interface LineHost {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly configPath: string;
  readonly makeRuntime: () => Promise<Runtime>;
}

export interface StatusLineParts {
  readonly own: string;
  readonly status: Status | null;
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

async function ourStatus(host: LineHost, input: string): Promise<Status | null> {
  try {
    return statusOf(await host.makeRuntime(), input);
  } catch {
    // Without SQLite the user's own line is still shown; `shim doctor` reports the cause.
    return null;
  }
}
