import { sessionVariables } from "../../clients/session-variables.ts";
import { namesAbove } from "../../contract/resource-paths.ts";
import type { Sql } from "../../shared/sql.ts";
import { identify, type ProcessIdentity, type Processes } from "../../platform/processes.ts";
import { idOf } from "../sessions/entries.ts";
import * as clients from "../sessions/clients.ts";
import * as sessions from "../sessions/sessions.ts";
import { findProjects, isHeld } from "./file-guard.ts";
import * as reservationTable from "./reservation-table.ts";

export interface ReservedFile {
  readonly path: string;
  readonly reservation: reservationTable.Reservation;
}

/**
 * [FI20] Counts any checkout.
 * @param chats those that commit
 * @param paths relative to `root`
 * @throws {StoreError}
 */
export function reservedByOthers(
  sql: Sql,
  { chats, processes }: { readonly chats: readonly string[]; readonly processes: Processes },
  root: string,
  paths: readonly string[],
): ReservedFile[] {
  const reservations = reservationTable.list(sql);
  if (reservations.length === 0) return [];
  for (const { workspace, project } of findProjects(sql, { path: root, roots: [root] })) {
    const byResource = new Map(
      reservations.filter((one) => one.workspace === workspace).map((one) => [one.resource, one]),
    );
    const reserved = paths.flatMap((path) => {
      const names = namesAbove(`file:${project}/${path}`);
      const reservation = names
        .flatMap((name) => byResource.get(name) ?? [])
        .find((one) => !chats.includes(one.holder) && isHeld(sql, processes, one));
      return reservation ? [{ path, reservation }] : [];
    });
    if (reserved.length > 0) return reserved;
  }
  return [];
}

/** Covers the chat's shell, git and the hook. */
const maxAncestors = 20;

/**
 * [FI21] Prefers the nearest client above the process to the environment, which may name several:
 * a client inherits the variables of the one it was started from.
 */
export function enclosingChats(sql: Sql, processes: Processes, env: NodeJS.ProcessEnv, parent: number): string[] {
  const ancestors = listAncestors(processes, parent).flatMap((process) => clients.current(sql, process) ?? []);
  const [nearest] = ancestors;
  return nearest ? [nearest.sessionId] : environmentChats(sql, env);
}

function environmentChats(sql: Sql, env: NodeJS.ProcessEnv): string[] {
  const ids = sessionVariables.flatMap(([, variable]) => env[variable] ?? []);
  return ids.flatMap((id) => sessions.get(sql, idOf(id))?.id ?? []);
}

function listAncestors(processes: Processes, pid: number, limit = maxAncestors): ProcessIdentity[] {
  const process = pid > 1 && limit > 0 ? identify(processes, pid) : null;
  if (process === null) return [];
  return [process, ...listAncestors(processes, processes.facts(pid)?.parent ?? 0, limit - 1)];
}
