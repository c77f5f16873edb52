import type { Failure } from "../contract/errors.ts";
import { repeatedExits } from "../contract/exit-codes.ts";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Launch } from "../platform/shim-command.ts";
import { writeAtomically } from "../platform/private-files.ts";
import { fail, err, ok, type Result } from "../shared/result.ts";
import type { Machine } from "./targets.ts";

export interface ServiceSite {
  readonly machine: Machine;
  /** Runs a short program to its end. Null: there is no program of this name. */
  readonly runQuietly: (
    command: string,
    args: readonly string[],
  ) => { readonly code: number; readonly text: string } | null;
}

/** The unit by which systemd starts the supervisor. */
export function unitFile({ env, homedir }: Machine): string {
  return join(env["XDG_CONFIG_HOME"] || join(homedir, ".config"), "systemd", "user", unitName);
}

/** Why it cannot be installed now; null: it can. */
export function findServiceObstacle({ machine, runQuietly }: ServiceSite, path: string): Failure | null {
  const foreign = findForeignFile(path);
  if (foreign) return foreign;
  const asked = machine.platform === "linux" ? runQuietly("systemctl", ["--user", "show-environment"]) : null;
  if (asked?.code === 0) return null;
  const reason =
    asked === null ? "systemctl was not found" : `the systemd of your user does not answer (${asked.text.trim()})`;
  const message = `${reason}: nothing was changed. It may work in your own login session (not \`su\` or \`sudo\`); otherwise start \`shim worker supervise\` at login in another way. \`shim worker service install --dry-run\` shows the unit.`;
  return fail("no_user_systemd", message).error;
}

function findForeignFile(path: string): Failure | null {
  if (!existsSync(path) || readFileSync(path, "utf8").includes(ownMark)) return null;
  return fail("not_ours", `${path} was not written by SHIM; move it away first.`).error;
}

/** Writes the unit, and starts the supervisor. */
export function installService(site: ServiceSite, path: string, text: string): Result<void> {
  mkdirSync(dirname(path), { recursive: true });
  writeAtomically(path, text, { mode: 0o644 });
  const reloaded = systemctl(site, ["daemon-reload"]);
  return reloaded.ok ? systemctl(site, ["enable", "--now", unitName]) : reloaded;
}

/** Refuses a file that SHIM has not written. */
export function isInstalled(path: string): Result<boolean> {
  const foreign = findForeignFile(path);
  return foreign ? err(foreign) : ok(existsSync(path));
}

/** In systemd's word. */
export function serviceState({ runQuietly }: ServiceSite): string {
  // The exit code differs for each state.
  return runQuietly("systemctl", ["--user", "is-active", unitName])?.text.trim() ?? "unknown";
}

export function removeService(site: ServiceSite, path: string): Result<void> {
  const disabled = systemctl(site, ["disable", "--now", unitName]);
  if (!disabled.ok) return disabled;
  rmSync(path, { force: true });
  return systemctl(site, ["daemon-reload"]);
}

function systemctl({ runQuietly }: ServiceSite, args: readonly string[]): Result<void> {
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
/** Only a file with this mark is removed. */
const ownMark = "Written by `shim worker service install`.";

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
RestartPreventExitStatus=${repeatedExits.join(" ")}
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
