import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { writeAtomically } from "../platform/private-files.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { err, ok, type Result } from "../shared/result.ts";
import {
  agentName,
  launchdAgent,
  ownMark,
  scheduledTask,
  systemdUnit,
  unitName,
  type ServiceFacts,
} from "./service-file.ts";
import type { Machine } from "./targets.ts";

export interface ServiceSite {
  readonly machine: Machine;
  /** Runs a short program to its end. Null: there is no program of this name. */
  readonly runQuietly: (
    command: string,
    args: readonly string[],
  ) => { readonly code: number; readonly text: string } | null;
}

/** The file by which a system starts the supervisor. */
export interface ServiceFile {
  readonly system: "systemd" | "launchd" | "task-scheduler";
  readonly path: string;
  readonly textOf: (facts: ServiceFacts) => string;
}

export function serviceFile({ platform, env, homedir }: Machine, home: string): ServiceFile {
  if (platform === "win32")
    return { system: "task-scheduler", path: join(home, "supervisor-task.xml"), textOf: scheduledTask };
  if (platform === "darwin") {
    const path = posix.join(homedir, "Library", "LaunchAgents", `${agentName}.plist`);
    return { system: "launchd", path, textOf: launchdAgent };
  }
  const config = env["XDG_CONFIG_HOME"] || posix.join(homedir, ".config");
  return { system: "systemd", path: posix.join(config, "systemd", "user", unitName), textOf: systemdUnit };
}

/** How to start and end what systemd does not. */
export function manualSteps({ system, path }: ServiceFile): string {
  return system === "launchd"
    ? `Start it: launchctl bootstrap gui/$(id -u) "${path}"; end it: launchctl bootout gui/$(id -u)/${agentName}`
    : `Start it: schtasks /Create /TN ${agentName} /XML "${path}"; remove it: schtasks /Delete /TN ${agentName}`;
}

/** Why it cannot be installed now; null: it can. */
export function findServiceObstacle({ runQuietly }: ServiceSite, file: ServiceFile): Failure | null {
  const foreign = findForeignFile(file);
  if (foreign || file.system !== "systemd") return foreign;
  const asked = runQuietly("systemctl", ["--user", "show-environment"]);
  if (asked?.code === 0) return null;
  const reason =
    asked === null ? "systemctl was not found" : `the systemd of your user does not answer (${asked.text.trim()})`;
  const message = `${reason}: nothing was changed. It may work in your own login session (not \`su\` or \`sudo\`); otherwise start \`shim worker supervise\` in another way. \`shim worker service install --dry-run\` shows the file.`;
  return { code: "no_user_systemd", message };
}

function findForeignFile({ path }: ServiceFile): Failure | null {
  if (!existsSync(path) || readFileSync(path, "utf8").includes(ownMark)) return null;
  return { code: "not_ours", message: `${path} was not written by SHIM; move it away first.` };
}

/** Writes the file, and starts the supervisor where that has been tested. */
export function installService(site: ServiceSite, file: ServiceFile, text: string): Result<void, Failure> {
  mkdirSync(dirname(file.path), { recursive: true });
  writeAtomically(file.path, text, { mode: 0o644 });
  if (file.system !== "systemd") return ok(undefined);
  const reloaded = systemctl(site, ["daemon-reload"]);
  return reloaded.ok ? systemctl(site, ["enable", "--now", unitName]) : reloaded;
}

/** Refuses a file that SHIM has not written. */
export function isInstalled(file: ServiceFile): Result<boolean, Failure> {
  const foreign = findForeignFile(file);
  return foreign ? err(foreign) : ok(existsSync(file.path));
}

/** In systemd's word; null where another system starts it. */
export function serviceState({ runQuietly }: ServiceSite, { system }: ServiceFile): string | null {
  if (system !== "systemd") return null;
  // The exit code differs for each state.
  return runQuietly("systemctl", ["--user", "is-active", unitName])?.text.trim() ?? "unknown";
}

export function removeService(site: ServiceSite, file: ServiceFile): Result<void, Failure> {
  const isSystemd = file.system === "systemd";
  const disabled = isSystemd ? systemctl(site, ["disable", "--now", unitName]) : ok(undefined);
  if (!disabled.ok) return disabled;
  rmSync(file.path, { force: true });
  return isSystemd ? systemctl(site, ["daemon-reload"]) : disabled;
}

function systemctl({ runQuietly }: ServiceSite, args: readonly string[]): Result<void, Failure> {
  const ran = runQuietly("systemctl", ["--user", ...args]);
  if (ran?.code === 0) return ok(undefined);
  const problem = ran?.text.trim() ?? "systemctl was not found";
  return fail("systemctl_failed", `systemctl --user ${args.join(" ")}: ${problem}`);
}
