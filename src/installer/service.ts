import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import type { Launch } from "../platform/launch.ts";
import { writeAtomically } from "../platform/private-files.ts";
import { type Failure, fail } from "../shared/failure.ts";
import { type Result, err, ok } from "../shared/result.ts";
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

interface ServiceFacts {
  readonly launch: Launch;
  readonly home: string;
  /** PATH as it is now: services get another one, without `claude`. */
  readonly path: string;
  readonly stopSeconds: number;
}

export const unitName = "shim.service";
const agentName = "shim.supervisor";
/** Only a file with this mark is removed. */
const ownMark = "Written by `shim worker service install`.";
const untested = "Untested: the authors of SHIM have no machine of this kind.";

export function systemdUnit({ launch, home, path, stopSeconds }: ServiceFacts): string {
  return `# ${ownMark} The next install overwrites changes.
[Unit]
Description=SHIM supervisor: keeps AI chat sessions running
StartLimitIntervalSec=900
StartLimitBurst=10

[Service]
Type=exec
ExecStart=/usr/bin/env ${execWord(launch.node)} ${execWord(launch.script)} worker supervise
Environment=${unitWord(`SHIM_HOME=${home}`)}
Environment=${unitWord(`PATH=${path}`)}
Restart=on-failure
RestartSec=5
# A restart does not fix wrong or missing settings, or an old Node.
RestartPreventExitStatus=2 3 78
# The supervisor ends what it runs; what is left after that is killed.
KillMode=mixed
TimeoutStopSec=${stopSeconds}

[Install]
WantedBy=default.target
`;
}

/** systemd.syntax(7): quotes and backslashes are escaped; % begins a specifier. */
function unitWord(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%")}"`;
}

/** systemd.service(5): $ begins a variable, but a first word may hold no quotes: hence env. */
function execWord(text: string): string {
  return unitWord(text).replaceAll("$", "$$$$");
}

export function launchdAgent({ launch, home, path, stopSeconds }: ServiceFacts): string {
  const words = [launch.node, launch.script, "worker", "supervise"].map((word) => `    <string>${xml(word)}</string>`);
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- ${ownMark} ${untested} -->
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${agentName}</string>
  <key>ProgramArguments</key>
  <array>
${words.join("\n")}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
    <key>SHIM_HOME</key>
    <string>${xml(home)}</string>
    <key>PATH</key>
    <string>${xml(path)}</string>
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>10</integer>
  <key>ExitTimeOut</key>
  <integer>${stopSeconds}</integer>
  <key>StandardOutPath</key>
  <string>${xml(`${home}/supervisor.log`)}</string>
  <key>StandardErrorPath</key>
  <string>${xml(`${home}/supervisor.log`)}</string>
</dict>
</plist>
`;
}

/** [SU15] The Windows Task Scheduler sets no environment: SHIM_HOME must be a user variable. */
export function scheduledTask({ launch }: ServiceFacts): string {
  return `<?xml version="1.0"?>
<!-- ${ownMark} ${untested} -->
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>SHIM supervisor: keeps AI chat sessions running</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>10</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>${xml(launch.node)}</Command>
      <Arguments>"${xml(launch.script)}" worker supervise</Arguments>
    </Exec>
  </Actions>
</Task>
`;
}

function xml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
