import type { NotifySettings } from "../../contract/notify.ts";
import { readConfig } from "../../platform/config-file.ts";
import { desktopProgram } from "../notify/notifier.ts";
import { isOnPath } from "../../platform/program-path.ts";
import { findSupervisor } from "../../platform/supervisor-mark.ts";
import type { HostContext } from "./handlers.ts";
import { failedCheck, pass, warn } from "./check.ts";
import type { Check } from "../../contract/machine/checks.ts";

/** [CL182] A channel that the settings name and that cannot reach the user from here. */
export async function channelChecks(context: HostContext): Promise<Check[]> {
  const read = readConfig(context.paths.config);
  return read.ok ? channelsOf(context, read.value.notify) : [];
}

async function channelsOf(context: HostContext, { desktop, bell }: NotifySettings): Promise<Check[]> {
  const bellChecks = bell
    ? [await bellCheck(context).catch((error: unknown) => failedCheck("notify_bell", error))]
    : [];
  return [...(desktop ? [desktopCheck(context)] : []), ...bellChecks];
}

function desktopCheck({ site }: HostContext): Check {
  const { platform } = site.machine;
  const program = desktopProgram(platform);
  if (isOnPath(program, site.env)) return pass("notify_desktop", `${program} shows notifications`);
  const text = `notify.desktop is on, and ${program} was not found: nothing is shown`;
  const fix = platform === "linux" ? "Install notify-send (package libnotify-bin or libnotify)" : "Set notify.webhook";
  return warn("notify_desktop", text, `${fix}, or \`shim config unset notify.desktop\`.`);
}

/** Only the supervisor has a terminal of its own. */
async function bellCheck(context: HostContext): Promise<Check> {
  const { processes } = await context.runtime();
  const supervisor = findSupervisor(context.paths.home, processes);
  if (supervisor !== null) return pass("notify_bell", "`shim worker supervise` rings in its terminal");
  const text = "notify.bell is on, and no `shim worker supervise` runs: only its terminal rings";
  return warn("notify_bell", text, "Run `shim worker supervise` in a terminal, or `shim config unset notify.bell`.");
}
