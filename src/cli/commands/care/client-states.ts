import { detect } from "../../../installer/targets.ts";
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
      claudeVersion: target.client === "claude-code" ? versionOf("claude") : null,
    }),
  );
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
      isInstalled: findings.some(({ code }) => code === "installed"),
    };
  });
}
