import { detect } from "../../../../installer/targets.ts";
import { readText } from "../../../../installer/client-files.ts";
import { inspect, type Finding } from "../../../../installer/inspect.ts";
import type { Cli } from "../../../cli.ts";
import type { ClientState } from "../overview.ts";

const minNodeVersion = [22, 16] as const;

/** What is right and wrong with SHIM in each client of this machine. Starts each Node that their settings name. */
export function clientFindings(cli: Cli): Finding[] {
  const { machine, launch, versionOf } = cli.io;
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

/** Which clients are here, and whether SHIM is in them. Reads their files only. */
export function clientStates(cli: Cli): ClientState[] {
  const { machine, launch } = cli.io;
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
