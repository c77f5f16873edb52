import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { type Launch, isTemporary, findRealPath, persistentPathFolders } from "../platform/shim-command.ts";
import { createPrivateFolder, temporaryBeside, writeAtomically } from "../platform/private-files.ts";
import { messageOf } from "../shared/error.ts";
import { parseObject } from "../shared/json-fields.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { linkTarget, missingFolders, readText, removeEmptied, statLink } from "./file-edits.ts";
import type { Machine } from "./targets.ts";

/** The copy of SHIM that clients start, and the command `shim`. */

/** A copy of a SHIM that its own folder will not keep. */
interface ProgramCopy {
  readonly from: string;
  readonly to: string;
}

export function programFolder(home: string): string {
  return join(home, "program");
}

/** Plans a copy where this SHIM was started by npx; null: its own folder stays. */
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

/** Hooks of open chats start these files: each is whole, the old one or the new one. */
export function makeCopy({ from, to }: ProgramCopy): void {
  createPrivateFolder(to);
  const paths = filesIn(from);
  for (const path of paths) {
    const next = join(to, `${path}.${process.pid}.next`);
    mkdirSync(dirname(next), { recursive: true });
    copyFileSync(join(from, path), next);
    renameSync(next, join(to, path));
  }
  for (const path of filesIn(to)) if (!paths.includes(path)) rmSync(join(to, path));
}

/** The parts of a program come before it. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort((one, other) => other.split(sep).length - one.split(sep).length);
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

/** Returns null for nothing to do; an error names the foreign program. */
export function planLink(
  { platform, homedir, env }: Machine,
  { script }: Launch,
  home: string,
): Result<LinkPlan | null, string> {
  if (platform === "win32") return ok(null);
  const path = join(homedir, ".local", "bin", "shim");
  const folders = persistentPathFolders(env);
  const isStale = isStaleLink(path, home);
  const named = [path, ...folders.map((folder) => join(folder, "shim"))];
  const first = named.find((one) => statLink(one) !== null && !(one === path && isStale));
  if (first !== undefined) return findRealPath(first) === findRealPath(script) ? ok(null) : err(first);
  return ok({ action: "create", path, target: script, isOnPath: folders.includes(dirname(path)) });
}

function isStaleLink(path: string, home: string): boolean {
  const target = linkTarget(path);
  if (target === null || findRealPath(path) !== null) return false;
  return /[\\/]bin[\\/]shim\.mjs$/.test(target) || readRecord(home)?.target === target;
}

/** Plans the removal of the link that `init` made, if its target is unchanged. */
export function planLinkRemoval(home: string): LinkPlan | null {
  const record = readRecord(home);
  if (record === null || linkTarget(record.path) !== record.target) return null;
  return { action: "remove", path: record.path, target: record.target, isOnPath: false };
}

/** @returns why it was not made or removed; null: it was */
export function applyLink({ action, path, target }: LinkPlan, home: string): string | null {
  const file = recordFile(home);
  const folders = readRecord(home)?.folders ?? [];
  try {
    if (action === "remove") {
      rmSync(path);
      removeEmptied(folders);
      rmSync(file);
      return null;
    }
    const record: LinkRecord = { path, target, folders: [...new Set([...folders, ...missingFolders(dirname(path))])] };
    mkdirSync(dirname(path), { recursive: true });
    mkdirSync(home, { recursive: true, mode: 0o700 });
    // Record first: a link without a record would never be removed.
    writeAtomically(file, `${JSON.stringify(record)}\n`);
    const temporary = temporaryBeside(path);
    rmSync(temporary, { force: true });
    symlinkSync(target, temporary);
    renameSync(temporary, path);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

function recordFile(home: string): string {
  return join(home, "command-link.json");
}

function readRecord(home: string): LinkRecord | null {
  const text = existsSync(recordFile(home)) ? readText(recordFile(home)) : null;
  const value = text?.ok ? parseObject(text.value ?? "") : null;
  return typeof value?.["path"] === "string" ? (value as unknown as LinkRecord) : null;
}
