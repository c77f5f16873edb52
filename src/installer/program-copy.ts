import { copyFileSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import type { Launch } from "../platform/launch.ts";
import { findRealPath, isTemporary } from "../platform/shim-command.ts";
import { createPrivateFolder, removeDurably } from "../platform/private-files.ts";

/** A copy of a SHIM that its own folder will not keep. */
export interface ProgramCopy {
  readonly from: string;
  readonly to: string;
}

export function programFolder(home: string): string {
  return join(home, "program");
}

/** [IP10] Plans a copy where this SHIM was started by npx; null: its own folder stays. */
export function planCopy({ script }: Launch, home: string): ProgramCopy | null {
  const real = findRealPath(script) ?? script;
  return isTemporary(real) ? { from: dirname(dirname(real)), to: programFolder(home) } : null;
}

/** The launcher that clients and the link name. */
export function lastingLaunch(launch: Launch, home: string): Launch {
  const copy = planCopy(launch, home);
  if (copy === null) return launch;
  const { node } = launch;
  return { node, script: join(copy.to, "bin", "shim.mjs"), hookScript: join(copy.to, "dist", "hook.cjs") };
}

/** [IP10] Hooks of open chats start these files: each is whole, the old one or the new one. */
export function makeCopy({ from, to }: ProgramCopy): void {
  createPrivateFolder(to);
  const wanted = filesIn(from);
  for (const path of wanted) replace(join(from, path), join(to, path));
  for (const path of filesIn(to)) if (!wanted.includes(path)) rmSync(join(to, path));
}

export function removeCopy(home: string): void {
  removeDurably(programFolder(home));
}

/** The parts of a program come before it. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort((one, other) => other.split(sep).length - one.split(sep).length);
}

function replace(from: string, to: string): void {
  const next = `${to}.${process.pid}.next`;
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, next);
  renameSync(next, to);
}

export function hasCopy(home: string): boolean {
  return statSync(programFolder(home), { throwIfNoEntry: false }) !== undefined;
}
