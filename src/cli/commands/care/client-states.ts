import { detect, pathOf } from "../../../installer/targets.ts";
import { readText } from "../../../installer/client-files.ts";
import { inspect, type Finding } from "../../../installer/inspect.ts";
import { lastingLaunch } from "../../../installer/program-copy.ts";
import type { Cli } from "../../cli.ts";
import type { ClientState } from "./overview.ts";

const minNodeVersion = [22, 16] as const;

export function clientFindings(cli: Cli): Finding[] {
  const { machine, versionOf } = cli.io;
  const launch = lastingLaunch(cli.io.launch, cli.paths.home);
  return detect(machine).flatMap((target) =>
    inspect(target, {
      read: readText,
      exists: machine.exists,
      nodeVersion: versionOf,
      minNodeVersion,
      launch,
      claudeVersion: target.client === "claude-code" ? claudeVersion(cli) : null,
    }),
  );
}

/** [IN102] Where Claude Code's own installers put it, the PATH may not lead. */
export function claudeVersion({ io: { machine, versionOf } }: Cli): string | null {
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

export function clientStates(cli: Cli): ClientState[] {
  const { machine } = cli.io;
  const launch = lastingLaunch(cli.io.launch, cli.paths.home);
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
