import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { messageOf } from "../../../../shared/error.ts";
import { ok, type Result, err } from "../../../../shared/result.ts";
import { failed, notFound, wrongUsage, type FailedResult } from "../../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../../cli.ts";
import { readSettings } from "../supervise/settings-file.ts";
import { writeAtomically } from "../../../../platform/private-files.ts";
import { findSupervisor } from "../../../../platform/supervisor-lock.ts";
import { isProgram } from "../../../../supervisor/supervisor-settings.ts";
import {
  agentName,
  unitName,
  launchdAgent,
  ownMark,
  scheduledTask,
  systemdUnit,
  type ServiceFacts,
} from "./start-file.ts";

export interface InstallOptions extends CommonOptions {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

export interface LogOptions extends CommonOptions {
  readonly lines?: number;
  readonly follow?: boolean;
}

/** Time beyond the programs' own limits: for checkpoints and their files. */
const spareSeconds = 30;

export async function installService(cli: Cli, options: InstallOptions): Promise<CommandResult> {
  const settings = readSettings(cli);
  if (!settings.ok) return settings;
  const file = startFile(cli);
  const stops = Object.values(settings.value.watch).map((one) => (isProgram(one) ? one.stopMs : 0));
  const { launch, env } = cli.io;
  const stopSeconds = spareSeconds + Math.ceil(Math.max(...stops) / 1_000);
  const text = file.textOf({ launch, home: cli.paths.home, path: env["PATH"] ?? "", stopSeconds });
  const { path, system } = file;
  if (options.dryRun === true)
    return ok({ data: { isInstalled: false, system, path, text }, text: `# ${path}\n${text}` });
  const obstacle = (await runningObstacle(cli)) ?? systemdObstacle(cli, file);
  if (obstacle) return obstacle;
  const sure = await cli.confirm(`Write ${path} and start the supervisor at each login?`, options.yes === true);
  if (sure === "unasked")
    return wrongUsage("there is no terminal to confirm this; --yes installs it, --dry-run shows the file.");
  if (sure === "no") return ok({ data: { isInstalled: false }, text: "Nothing was changed.\n" });
  const written = write(file, text);
  if (!written.ok) return failed("not_ours", written.error);
  return startService(cli, file);
}

async function runningObstacle(cli: Cli): Promise<FailedResult | null> {
  const { processes } = await cli.runtime();
  const supervisor = findSupervisor(cli.paths.home, processes);
  if (supervisor === null) return null;
  return failed(
    "already_running",
    `a supervisor is already running, pid ${supervisor.pid}. \`shim worker supervise stop\` ends it.`,
  );
}

function systemdObstacle(cli: Cli, { system }: StartFile): FailedResult | null {
  if (system !== "systemd") return null;
  const asked = cli.io.runQuietly("systemctl", ["--user", "show-environment"]);
  if (asked?.code === 0) return null;
  const reason =
    asked === null ? "systemctl was not found" : `the systemd of your user does not answer (${asked.text.trim()})`;
  return failed(
    "no_user_systemd",
    `${reason}: nothing was changed. It may work in your own login session (not \`su\` or \`sudo\`); otherwise start \`shim worker supervise\` in another way. \`shim worker service install --dry-run\` shows the file.`,
  );
}

function startService(cli: Cli, file: StartFile): CommandResult {
  const { system, path } = file;
  if (system !== "systemd") {
    const by = manualSteps(file);
    return ok({
      data: { isInstalled: true, isStarted: false, system, path },
      text: `${path} is written, untested. ${by}\n`,
    });
  }
  for (const args of [["daemon-reload"], ["enable", "--now", unitName]]) {
    const done = systemctl(cli, args);
    if (!done.ok) return done;
  }
  const linger = "`loginctl enable-linger` lets it run while you are not logged in.";
  return ok({
    data: { isInstalled: true, isStarted: true, system, path },
    text: `${path} is written, and the supervisor is running. ${linger}\n`,
  });
}

function manualSteps({ system, path }: StartFile): string {
  return system === "launchd"
    ? `Start it: launchctl bootstrap gui/$(id -u) "${path}"; end it: launchctl bootout gui/$(id -u)/${agentName}`
    : `Start it: schtasks /Create /TN ${agentName} /XML "${path}"; remove it: schtasks /Delete /TN ${agentName}`;
}

function systemctl(cli: Cli, args: readonly string[]): Result<string, FailedResult["error"]> {
  const ran = cli.io.runQuietly("systemctl", ["--user", ...args]);
  if (ran?.code === 0) return ok(ran.text);
  return failed(
    "systemctl_failed",
    `systemctl --user ${args.join(" ")}: ${ran?.text.trim() ?? "systemctl was not found"}`,
  );
}

export function status(cli: Cli): CommandResult {
  const file = startFile(cli);
  const { system, path } = file;
  const found = fileOwner(file);
  if (found !== "ours") {
    const text = found === null ? "Not installed: `shim worker service install`." : notOurs(file);
    return ok({ data: { isInstalled: false, system, path, state: null }, text: `${text}\n` });
  }
  if (system !== "systemd") {
    return ok({
      data: { isInstalled: true, system, path, state: null },
      text: `${path} exists. ${manualSteps(file)}\n`,
    });
  }
  // The exit code differs for each state.
  const state = cli.io.runQuietly("systemctl", ["--user", "is-active", unitName])?.text.trim() ?? "unknown";
  const text = `${path} exists, the service is ${state}. \`shim worker supervise status\` shows what it does.\n`;
  return ok({ data: { isInstalled: true, system, path, state }, text });
}

export async function uninstallService(cli: Cli, options: InstallOptions): Promise<CommandResult> {
  const file = startFile(cli);
  const { system, path } = file;
  const found = fileOwner(file);
  if (found === null) return notFound(`${path} does not exist, so there is nothing to remove.`);
  if (found !== "ours") return failed("not_ours", notOurs(file));
  if (options.dryRun === true)
    return ok({ data: { isInstalled: true, system, path }, text: `${path} would be removed.\n` });
  const sure = await cli.confirm(
    "End the supervisor and all that it runs, and stop starting it at login?",
    options.yes === true,
  );
  if (sure === "unasked") return wrongUsage("there is no terminal to confirm this; --yes removes it.");
  if (sure === "no") return ok({ data: { isInstalled: true, system, path }, text: "Nothing was changed.\n" });
  return removeService(cli, file);
}

function removeService(cli: Cli, file: StartFile): CommandResult {
  const { system, path } = file;
  const data = { isInstalled: false, system, path };
  if (system !== "systemd") {
    remove(file);
    return ok({ data, text: `${path} was removed. ${manualSteps(file)}\n` });
  }
  const disabled = systemctl(cli, ["disable", "--now", unitName]);
  if (!disabled.ok) return disabled;
  remove(file);
  const reloaded = systemctl(cli, ["daemon-reload"]);
  return reloaded.ok ? ok({ data, text: `The supervisor has ended, and ${path} was removed.\n` }) : reloaded;
}

export async function showLogs(cli: Cli, { lines = 100, follow = false }: LogOptions): Promise<CommandResult> {
  const { system } = startFile(cli);
  if (system === "launchd") return failed("elsewhere", `the log is in ${cli.paths.home}/supervisor.log.`);
  if (system === "task-scheduler")
    return failed("elsewhere", "the Task Scheduler keeps no output; run `shim worker supervise`.");
  const args = ["--user", "--unit", unitName, "--lines", String(lines), ...(follow ? ["--follow"] : ["--no-pager"])];
  try {
    const exit = await cli.io.startProcess({ command: "journalctl", args, cwd: cli.io.cwd });
    return exit === 0
      ? ok({ data: { exit }, text: "" })
      : failed("journalctl_failed", `journalctl ended with ${exit}.`);
  } catch (error) {
    return failed("journalctl_failed", `journalctl cannot be started: ${messageOf(error)}.`);
  }
}

interface StartFile {
  readonly system: "systemd" | "launchd" | "task-scheduler";
  readonly path: string;
  readonly textOf: (facts: ServiceFacts) => string;
}

/** The file by which this system starts the supervisor. */
export function startFile({ io, paths }: Cli): StartFile {
  const { platform, env, homedir } = io.machine;
  if (platform === "win32") {
    return { system: "task-scheduler", path: join(paths.home, "supervisor-task.xml"), textOf: scheduledTask };
  }
  if (platform === "darwin") {
    const path = posix.join(homedir, "Library", "LaunchAgents", `${agentName}.plist`);
    return { system: "launchd", path, textOf: launchdAgent };
  }
  const config = env["XDG_CONFIG_HOME"] || posix.join(homedir, ".config");
  return { system: "systemd", path: posix.join(config, "systemd", "user", unitName), textOf: systemdUnit };
}

function fileOwner({ path }: StartFile): "ours" | "another's" | null {
  if (!existsSync(path)) return null;
  return readFileSync(path, "utf8").includes(ownMark) ? "ours" : "another's";
}

function write(file: StartFile, text: string): Result<void, string> {
  if (fileOwner(file) === "another's") return err(notOurs(file));
  mkdirSync(dirname(file.path), { recursive: true });
  writeAtomically(file.path, text, { mode: 0o644 });
  return ok(undefined);
}

function remove(file: StartFile): void {
  rmSync(file.path, { force: true });
}

function notOurs({ path }: StartFile): string {
  return `${path} was not written by SHIM; move it away first.`;
}
