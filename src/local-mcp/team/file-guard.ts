import { existsSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import type { HookInput } from "../../contract/hook-input.ts";
import { namesAbove } from "../../coordination/paths.ts";
import type { Sql } from "../../shared/sql.ts";
import { readProcessKey } from "../coordinator/process-key.ts";
import { mayBeAlive, type Processes } from "../processes.ts";
import { age, clip } from "../recovery/brief.ts";
import { pathOf } from "../sessions/entries.ts";
import { mainWorkTree, projectRoot } from "../sessions/git-head.ts";
import * as sessions from "../sessions/sessions.ts";
import * as files from "./files-table.ts";
import { realPath } from "./real-path.ts";
import { named } from "./deliver-news.ts";
import { isWithin } from "../../shared/elapsed.ts";

/** Whether a chat may edit a file that others may have reserved. This is a guard, not a lock: it does not see what a shell writes. */
export type Verdict =
  | { readonly kind: "free" }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "warned"; readonly text: string };

export interface Guarded {
  readonly now: number;
  readonly processes: Processes;
  readonly session: string;
  /** Also refuses what is reserved in another checkout. */
  readonly isStrict: boolean;
}

export interface EditedFile {
  /** Absolute, links followed. */
  readonly path: string;
  /** The work tree of the file, which may not be the chat's; outside of git all folders above the file, the nearest first. */
  readonly roots: readonly string[];
}

const editing: ReadonlySet<string> = new Set(["Edit", "MultiEdit", "Write", "NotebookEdit"]);
const free: Verdict = { kind: "free" };
const warnEveryMs = 3_600_000;
/** A statement takes 100 values, one of which is the workspace. */
const mostNames = 99;

/**
 * [FI3] A file that another living chat has reserved is not edited in the same checkout; in another one its chat is warned, and goes on.
 *
 * @throws {StoreError} when the store cannot be read
 */
export function checkEdit(sql: Sql, around: Guarded, file: EditedFile): Verdict {
  for (const { workspace, project, root } of projectsOf(sql, file)) {
    const path = relative(root, file.path).split(sep).join("/");
    const names = namesAbove(`file:${project}/${path}`).slice(0, mostNames);
    const held = files.named(sql, workspace, names).filter((one) => isOfAnother(sql, around, one));
    const here = held.find((one) => isSameCheckout(sql, one, root));
    const holder = here ?? held[0];
    if (holder) return verdict(sql, around, holder, path, here !== undefined);
  }
  return free;
}

/** The file that a tool is about to write; null: none. */
export function editedFile(input: HookInput): EditedFile | null {
  const path = editedPath(input);
  return path === null ? null : editedFileAt(path);
}

function editedPath({ tool_name: tool, tool_input: given, cwd }: HookInput): string | null {
  const path = editing.has(tool ?? "") ? pathIn(given) : null;
  if (path === null || isAbsolute(path)) return path;
  return cwd === undefined ? null : resolve(cwd, path);
}

function pathIn(given: unknown): string | null {
  if (typeof given !== "object" || given === null) return null;
  const values: Record<string, unknown> = { ...given };
  const path = values["file_path"] ?? values["notebook_path"];
  return typeof path === "string" && path !== "" ? path : null;
}

/** The path of a file that does not exist yet is resolved by the nearest folder above it. */
function editedFileAt(given: string): EditedFile {
  const path = realPath(resolve(given));
  const root = projectRoot(dirname(path));
  if (root !== null && existsSync(join(root, ".git"))) return { path, roots: [root] };
  return { path, roots: foldersAbove(path) };
}

function foldersAbove(path: string): string[] {
  const above = dirname(path);
  return above === path ? [] : [above, ...foldersAbove(above)];
}

interface KnownProject extends files.NamedProject {
  readonly root: string;
}

/** A linked work tree that no chat has used yet belongs to the project of the main work tree. */
export function projectsOf(sql: Sql, { roots }: EditedFile): KnownProject[] {
  for (const root of roots) {
    const known = files.projectsAt(sql, pathOf(root));
    if (known.length > 0) return known.map(({ workspace, project }) => ({ workspace, project, root }));
  }
  const [root] = roots;
  const main = root === undefined ? null : mainWorkTree(root);
  if (root === undefined || main === null) return [];
  return files.projectsAt(sql, pathOf(main)).map(({ workspace, project }) => ({ workspace, project, root }));
}

/** [FI5] A reservation of a chat of this machine whose process is proved dead is dropped. */
export function isOfAnother(
  sql: Sql,
  { session, processes }: Pick<Guarded, "session" | "processes">,
  { resource, holder }: files.Reservation,
): boolean {
  if (holder === session) return false;
  const [chat] = sql.all<{ process: string }>("SELECT process FROM team_chats WHERE session_id = ?", holder);
  const owner = chat ? readProcessKey(chat.process) : null;
  if (owner === null || mayBeAlive(processes, owner)) return true;
  files.drop(sql, resource, holder);
  return false;
}

function isSameCheckout(sql: Sql, { holder, checkout }: files.Reservation, root: string): boolean {
  const project = sessions.get(sql, holder)?.project;
  return (project ?? checkout) === pathOf(root);
}

function verdict(
  sql: Sql,
  { now, session, isStrict }: Guarded,
  held: files.Reservation,
  path: string,
  isHere: boolean,
): Verdict {
  const where = isHere ? "in this checkout" : `in another checkout (${JSON.stringify(clip(held.machine, 80))})`;
  const since = age(now - held.since);
  const what = `${clip(path, 200)} is reserved ${where} by ${named(held.holderName, held.holder)}, since ${since} (${patternOf(held)}).`;
  const how = `Ask with shim_send to ${JSON.stringify(clip(held.holder, 128))}; shim_files list shows what is reserved.`;
  if (isHere || isStrict) {
    return { kind: "refused", reason: `SHIM: ${what} Do not edit it by other means, either. ${how}` };
  }
  if (!isNewWarning(sql, now, session, `${held.holder} ${path}`)) return free;
  return { kind: "warned", text: `SHIM: ${what} The edit goes on; both may have to be merged. ${how}` };
}

function patternOf({ resource }: files.Reservation): string {
  return clip(resource.slice(resource.indexOf("/") + 1), 200);
}

/** [FI4] Once an hour for each holder and file. It is stored as delivered news. */
function isNewWarning(sql: Sql, now: number, session: string, what: string): boolean {
  const key = `file: ${what}`;
  const [last] = sql.all<{ at: number }>("SELECT at FROM team_news WHERE session_id = ? AND key = ?", session, key);
  if (last && isWithin(now - last.at, warnEveryMs)) return false;
  const body = JSON.stringify({ kind: "notice", text: what });
  sql.run(
    `INSERT INTO team_news (session_id, key, kind, at, body, told_at) VALUES (?, ?, 'notice', ?, ?, ?)
     ON CONFLICT (session_id, key) DO UPDATE SET at = excluded.at, told_at = excluded.told_at`,
    session,
    key,
    now,
    body,
    now,
  );
  return true;
}
