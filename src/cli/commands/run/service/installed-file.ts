import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { writeAtomically } from "../../../../platform/private-files.ts";
import { err, ok, type Result } from "../../../../shared/result.ts";
import type { Cli } from "../../../cli.ts";
import {
  agentName,
  launchdAgent,
  ownMark,
  scheduledTask,
  systemdUnit,
  unitName,
  type ServiceFacts,
} from "./start-file.ts";

export interface StartFile {
  readonly system: "systemd" | "launchd" | "task-scheduler";
  readonly path: string;
  readonly textOf: (facts: ServiceFacts) => string;
}

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

export function fileOwner({ path }: StartFile): "ours" | "another's" | null {
  if (!existsSync(path)) return null;
  return readFileSync(path, "utf8").includes(ownMark) ? "ours" : "another's";
}

export function write(file: StartFile, text: string): Result<void, string> {
  if (fileOwner(file) === "another's") return err(notOurs(file));
  mkdirSync(dirname(file.path), { recursive: true });
  writeAtomically(file.path, text, { mode: 0o644 });
  return ok(undefined);
}

export function remove(file: StartFile): void {
  rmSync(file.path, { force: true });
}

export function notOurs({ path }: StartFile): string {
  return `${path} was not written by SHIM; move it away first.`;
}
