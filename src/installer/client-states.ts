import type { ClientState } from "../contract/machine/overview.ts";
import type { Launch } from "../platform/launch.ts";
import type { Paths } from "../platform/paths.ts";
import { readText } from "./client-files.ts";
import { inspect, type Finding } from "./inspect.ts";
import { lastingLaunch } from "./program-copy.ts";
import { detect, pathOf, type ClientTarget, type Machine } from "./targets.ts";

/** This SHIM, its home, and the machine around it. */
export interface Installation {
  readonly paths: Pick<Paths, "home" | "config">;
  readonly site: {
    readonly env: NodeJS.ProcessEnv;
    readonly now: () => number;
    readonly launch: Launch;
    readonly machine: Machine;
    readonly versionOf: (program: string) => string | null;
  };
}

export function clientFindings(installation: Installation): Finding[] {
  return detect(installation.site.machine).flatMap((target) => findingsOf(installation, target));
}

export function findingsOf(installation: Installation, target: ClientTarget): Finding[] {
  const { machine, versionOf, launch } = installation.site;
  return inspect(target, {
    read: readText,
    exists: machine.exists,
    nodeVersion: versionOf,
    launch: lastingLaunch(launch, installation.paths.home),
    claudeVersion: target.client === "claude-code" ? claudeVersion(installation) : null,
    shimConfig: installation.paths.config,
  });
}

/** [IN102] Where Claude Code's own installers put it, the PATH may not lead. */
export function claudeVersion({ site: { machine, versionOf } }: Pick<Installation, "site">): string | null {
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

/** Starts no program to learn its version. */
export function clientStates({ site, paths }: Installation): ClientState[] {
  const installation = { paths, site: { ...site, versionOf: () => process.version } };
  return detect(site.machine).map((target) => {
    const codes = new Set(findingsOf(installation, target).map(({ code }) => code));
    const { client, label } = target;
    return { client, label, isInstalled: codes.has("installed") && !codes.has("file_ignored") };
  });
}
