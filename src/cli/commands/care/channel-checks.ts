import type { NotifySettings } from "../../../contract/notify.ts";
import { readConfig } from "../../../platform/config-file.ts";
import { desktopProgram } from "../../../local-mcp/notify/notifier.ts";
import { isOnPath } from "../../../platform/program-path.ts";
import { findSupervisor } from "../../../supervisor/supervisor-lock.ts";
import type { Cli } from "../../cli.ts";
import { failedCheck, pass, warn, type Check } from "./doctor-check.ts";

/** [CL182] A channel that the settings name and that cannot reach the user from here. */
export async function channelChecks(cli: Cli): Promise<Check[]> {
  const read = readConfig(cli.paths.config);
  return read.ok ? channelsOf(cli, read.value.notify) : [];
}

async function channelsOf(cli: Cli, { desktop, bell }: NotifySettings): Promise<Check[]> {
  const bellChecks = bell ? [await bellCheck(cli).catch((error: unknown) => failedCheck("notify_bell", error))] : [];
  return [...(desktop ? [desktopCheck(cli)] : []), ...bellChecks];
}

function desktopCheck({ io }: Cli): Check {
  const { platform } = io.machine;
  const program = desktopProgram(platform);
  if (isOnPath(program, io.env)) return pass("notify_desktop", `${program} shows notifications`);
  const text = `notify.desktop is on, and ${program} was not found: nothing is shown`;
  const fix = platform === "linux" ? "Install notify-send (package libnotify-bin or libnotify)" : "Set notify.webhook";
  return warn("notify_desktop", text, `${fix}, or \`shim config unset notify.desktop\`.`);
}

/** Only the supervisor has a terminal of its own. */
async function bellCheck(cli: Cli): Promise<Check> {
  const { processes } = await cli.runtime();
  const supervisor = findSupervisor(cli.paths.home, processes);
  if (supervisor !== null) return pass("notify_bell", "`shim worker supervise` rings in its terminal");
  const text = "notify.bell is on, and no `shim worker supervise` runs: only its terminal rings";
  return warn("notify_bell", text, "Run `shim worker supervise` in a terminal, or `shim config unset notify.bell`.");
}
