import { existsSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { editedPath } from "../../clients/adapter/tools.ts";
import type { HookInput } from "../../contract/hooks.ts";
import { foldName, namesAbove } from "../../contract/resource-paths.ts";
import type { Sql } from "../../shared/sql.ts";
import { processLives } from "../../coordinator-client/local/process-key.ts";
import { teamChats, teamNews } from "../../store/team-tables.ts";
import type { Processes } from "../../platform/processes.ts";
import { age } from "../../shared/format.ts";
import { beginningOf } from "../../shared/shorten.ts";
import { foldsCase, portablePath, realPath } from "../../platform/paths.ts";
import { isWithin } from "../../shared/known-time.ts";
import * as sessions from "../sessions/sessions.ts";
import { pathOf } from "../sessions/entries.ts";
import { mainWorkTree, projectRoot } from "../../snapshots/git-head.ts";
import * as reservationTable from "../sessions/reservation-table.ts";
import { formatChat } from "./team-news.ts";

/** A guard, not a lock: it does not see what a shell writes. */
export type EditVerdict =
  | { readonly kind: "free" }
  | { readonly kind: "refused"; readonly reason: string }
  /** The client asks its user. */
  | { readonly kind: "asked"; readonly reason: string }
  /** The call is allowed. `about`: the same is not said again once {@link recordWarning} has it. */
  | { readonly kind: "warned"; readonly text: string; readonly about?: string };

export interface EditContext {
  readonly now: number;
  readonly processes: Processes;
  readonly session: string;
  /** Refuses reservations in other checkouts too. */
  readonly isStrict: boolean;
}

export interface EditedFile {
  /** Absolute, links followed. */
  readonly path: string;
  /** The file's own work tree; outside git all folders above the file, nearest first. */
  readonly roots: readonly string[];
}

const allowed: EditVerdict = { kind: "free" };
const warnEveryMs = 3_600_000;
/** A statement takes 100 values, one of which is the workspace. */
const maxNames = 99;

/** Refuses in the same checkout, warns in another. Reads only. */
export function checkEdit(sql: Sql, context: EditContext, file: EditedFile): EditVerdict {
  for (const { workspace, project, root } of findProjects(sql, file)) {
    const path = portablePath(relative(root, file.path));
    const names = namesAbove(`file:${project}/${path}`).slice(0, maxNames);
    const reservations = reservationsOf(sql, workspace, names, foldsCase(root)).filter((one) =>
      isReservedByOther(sql, context, one),
    );
    const sameCheckout = reservations.find((one) => isSameCheckout(sql, one, root));
    const holder = sameCheckout ?? reservations[0];
    if (holder) return assessEdit(sql, context, holder, path, sameCheckout !== undefined);
  }
  return allowed;
}

/** @param isFolded names that differ in case alone are one file */
function reservationsOf(
  sql: Sql,
  workspace: string,
  names: readonly string[],
  isFolded: boolean,
): reservationTable.Reservation[] {
  if (!isFolded) return reservationTable.listByResource(sql, workspace, names);
  const folded = new Set(names.map(foldName));
  return reservationTable.list(sql).filter((one) => one.workspace === workspace && folded.has(foldName(one.resource)));
}

/** A new file's path is resolved by its nearest existing folder. */
export function editedFile(input: HookInput): EditedFile | null {
  const inputPath = editedPath(input);
  if (inputPath === null) return null;
  const path = realPath(resolve(inputPath));
  const root = projectRoot(dirname(path));
  if (root !== null && existsSync(join(root, ".git"))) return { path, roots: [root] };
  return { path, roots: foldersAbove(path) };
}

function foldersAbove(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [parent, ...foldersAbove(parent)];
}

type KnownProject = reservationTable.NamedProject & { readonly root: string };

/** A linked work tree without a chat belongs to the project of the main one. */
function findProjects(sql: Sql, { roots }: EditedFile): KnownProject[] {
  const namesOf = (folder: string, root: string): KnownProject[] =>
    reservationTable.listProjects(sql, pathOf(folder)).map((named) => Object.assign(named, { root }));
  for (const root of roots) {
    const projects = namesOf(root, root);
    if (projects.length > 0) return projects;
  }
  const [root] = roots;
  const main = root === undefined ? null : mainWorkTree(root);
  return root === undefined || main === null ? [] : namesOf(main, root);
}

function isReservedByOther(
  sql: Sql,
  { session, processes }: Pick<EditContext, "session" | "processes">,
  reservation: reservationTable.Reservation,
): boolean {
  return reservation.holder !== session && isHolderAlive(sql, processes, reservation.holder);
}

/** A chat whose process is not known counts as alive. */
function isHolderAlive(sql: Sql, processes: Processes, holder: string): boolean {
  const chat = teamChats.find(sql, { session: holder });
  return chat === null || processLives(processes, chat.process) !== false;
}

function isSameCheckout(sql: Sql, { holder, checkout }: reservationTable.Reservation, root: string): boolean {
  const project = sessions.get(sql, holder)?.project;
  return (project ?? checkout) === pathOf(root);
}

function assessEdit(
  sql: Sql,
  { now, session, isStrict }: EditContext,
  reservation: reservationTable.Reservation,
  path: string,
  isHere: boolean,
): EditVerdict {
  const where = isHere
    ? "in this checkout"
    : `in another checkout (${JSON.stringify(beginningOf(reservation.machine, 80))})`;
  const since = age(now - reservation.since);
  const pattern = beginningOf(reservation.resource.slice(reservation.resource.indexOf("/") + 1), 200);
  const subject = `${beginningOf(path, 200)} is reserved ${where} by ${formatChat(reservation.holderName, reservation.holder.slice(0, 13))}, since ${since} (${pattern}).`;
  const advice = `Ask with shim_send to ${JSON.stringify(beginningOf(reservation.holder, 128))}; shim_files list shows what is reserved.`;
  if (isHere || isStrict) {
    return { kind: "refused", reason: `SHIM: ${subject} Do not edit it by other means, either. ${advice}` };
  }
  const about = `${reservation.holder} ${path}`;
  const lastWarning = teamNews.find(sql, { session, key: warningKey(about) });
  if (lastWarning && isWithin(now - lastWarning.at, warnEveryMs)) return allowed;
  return {
    kind: "warned",
    about,
    text: `SHIM: ${subject} The edit is allowed; both versions may have to be merged. ${advice}`,
  };
}

function warningKey(about: string): string {
  return `file: ${about}`;
}

/** Holds back the same warning for an hour. */
export function recordWarning(sql: Sql, now: number, session: string, about: string): void {
  teamNews.insert(
    sql,
    {
      session,
      key: warningKey(about),
      kind: "notice",
      at: now,
      body: { kind: "notice", text: about },
      deliveredAt: now,
    },
    "ON CONFLICT (session, key) DO UPDATE SET at = excluded.at, deliveredAt = excluded.deliveredAt",
  );
}
