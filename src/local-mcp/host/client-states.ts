import type { ClientState } from "../../contract/machine/overview.ts";
import { detect, pathOf } from "../../installer/targets.ts";
import { readText } from "../../installer/client-files.ts";
import { inspect, type Finding } from "../../installer/inspect.ts";
import { lastingLaunch } from "../../installer/program-copy.ts";
import type { HostContext } from "./handlers.ts";

type Installation = Pick<HostContext, "site" | "paths">;

const minNodeVersion = [22, 16] as const;

export function clientFindings(context: Installation): Finding[] {
  const { machine, versionOf } = context.site;
  const launch = lastingLaunch(context.site.launch, context.paths.home);
  return detect(machine).flatMap((target) =>
    inspect(target, {
      read: readText,
      exists: machine.exists,
      nodeVersion: versionOf,
      minNodeVersion,
      launch,
      claudeVersion: target.client === "claude-code" ? claudeVersion(context) : null,
    }),
  );
}

/** [IN102] Where Claude Code's own installers put it, the PATH may not lead. */
export function claudeVersion({ site: { machine, versionOf } }: Pick<HostContext, "site">): string | null {
  const { homedir, exists, platform } = machine;
  const path = pathOf(platform);
  const name = platform === "win32" ? "claude.exe" : "claude";
  const installed = [
    [".local", "bin"],
    [".claude", "local"],
  ].map((folder) => path.join(homedir, ...folder, name));
  const program = installed.find(exists);
  return versionOf("claude") ?? (program === undefined ? null : versionOf(program));
}

export function clientStates(context: Installation): ClientState[] {
  const { machine } = context.site;
  const launch = lastingLaunch(context.site.launch, context.paths.home);
  const assumedVersion = `v${minNodeVersion.join(".")}.0`;
  return detect(machine).map((target) => {
    const findings = inspect(target, {
      read: readText,
      exists: machine.exists,
      nodeVersion: () => assumedVersion,
      minNodeVersion,
      launch,
      claudeVersion: null,
    });
    return {
      client: target.client,
      label: target.label,
      isInstalled: findings.some(({ code }) => code === "installed") && !findings.some(isIgnored),
    };
  });
}

function isIgnored({ code }: Finding): boolean {
  return code === "file_ignored";
}
