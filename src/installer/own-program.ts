import { copyFileSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import type { Launch } from "../platform/launch.ts";
import { isTemporary } from "../platform/origin.ts";
import { createPrivateFolder, removeDurably, writeAtomically } from "../platform/private-files.ts";
import { findRealPath, persistentPathFolders } from "../platform/shim-command.ts";
import { messageOf } from "../shared/error.ts";
import { isRecord } from "../shared/json-fields.ts";
import { type Result, err, ok } from "../shared/result.ts";
import { linkTarget, missingFolders, removeEmptied, statLink } from "./client-files.ts";
import type { Machine } from "./targets.ts";

/** A copy of a SHIM that its own folder will not keep. */
interface ProgramCopy {
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

export interface LinkPlan {
  readonly action: "create" | "remove";
  readonly path: string;
  readonly target: string;
  readonly isOnPath: boolean;
}

/** Stored, so that `init --remove` removes only what `init` made. Add fields as optional. */
interface LinkRecord {
  readonly path: string;
  readonly target: string;
  /** Folders created for the link, outermost first. */
  readonly folders: readonly string[];
}

interface LinkContext {
  readonly machine: Machine;
  readonly launch: Launch;
  readonly record: string;
}

export function linkRecord(home: string): string {
  return join(home, "command-link.json");
}

/** [IN16] [IN17] Returns null for nothing to do; an error names the foreign program. */
export function planLink({ machine, launch, record }: LinkContext): Result<LinkPlan | null, string> {
  if (machine.platform === "win32") return ok(null);
  const path = join(machine.homedir, ".local", "bin", "shim");
  const folders = persistentPathFolders(machine.env);
  const isStale = isStaleLink(path, record);
  const named = [path, ...folders.map((folder) => join(folder, "shim"))];
  const first = named.find((one) => exists(one) && !(one === path && isStale));
  if (first !== undefined) return findRealPath(first) === findRealPath(launch.script) ? ok(null) : err(first);
  return ok({ action: "create", path, target: launch.script, isOnPath: folders.includes(dirname(path)) });
}

/** [IN18] Plans the removal of the link that `init` made, if its target is unchanged. */
export function planLinkRemoval({ record }: LinkContext): LinkPlan | null {
  const linkRecord = readRecord(record);
  if (linkRecord === null || linkTarget(linkRecord.path) !== linkRecord.target) return null;
  return { action: "remove", path: linkRecord.path, target: linkRecord.target, isOnPath: false };
}

export function applyLink(plan: LinkPlan, record: string): string | null {
  try {
    if (plan.action === "create") createLink(plan, record);
    else removeLink(plan, record);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

function createLink({ path, target }: LinkPlan, record: string): void {
  const folders = missingFolders(dirname(path));
  mkdirSync(dirname(path), { recursive: true });
  mkdirSync(dirname(record), { recursive: true, mode: 0o700 });
  const earlier = readRecord(record)?.folders ?? [];
  const linkRecord: LinkRecord = { path, target, folders: [...new Set([...earlier, ...folders])] };
  // Record first: a link without a record would never be removed.
  writeAtomically(record, `${JSON.stringify(linkRecord)}\n`);
  const temporary = join(dirname(path), `.${basename(path)}.shim-${process.pid}.tmp`);
  rmSync(temporary, { force: true });
  symlinkSync(target, temporary);
  renameSync(temporary, path);
}

function removeLink({ path }: LinkPlan, record: string): void {
  const folders = readRecord(record)?.folders ?? [];
  rmSync(path);
  removeEmptied(folders);
  rmSync(record);
}

function isStaleLink(path: string, record: string): boolean {
  const target = linkTarget(path);
  if (target === null || findRealPath(path) !== null) return false;
  return /[\\/]bin[\\/]shim\.mjs$/.test(target) || readRecord(record)?.target === target;
}

function exists(path: string): boolean {
  return statLink(path) !== null;
}

function readRecord(path: string): LinkRecord | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return isRecord(value) && typeof value["path"] === "string" ? (value as unknown as LinkRecord) : null;
  } catch {
    return null;
  }
}
