import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { messageOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { persistentPathFolders, findRealPath } from "../platform/shim-command.ts";
import { writeAtomically } from "../platform/private-files.ts";
import { linkTarget, missingFolders, removeEmptied, statLink } from "./client-files.ts";
import { isRecord } from "../shared/json-fields.ts";
import type { Launch } from "../platform/launch.ts";
import type { Machine } from "./targets.ts";

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

export interface LinkContext {
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
