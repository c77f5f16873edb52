import { sessionVariables } from "../../clients/session-variables.ts";
import { namesAbove } from "../../contract/resource-paths.ts";
import type { Sql } from "../../shared/sql.ts";
import { identify, type ProcessIdentity, type Processes } from "../../platform/processes.ts";
import { idOf } from "../sessions/entries.ts";
import * as clients from "../sessions/clients.ts";
import * as sessions from "../sessions/sessions.ts";
import { isReservedByOther, findProjects, type EditContext } from "./file-guard.ts";
import * as reservationTable from "./reservation-table.ts";

export interface ReservedFile {
  readonly path: string;
  readonly reservation: reservationTable.Reservation;
}

/** [FI20] Counts any checkout. @param paths relative to `root`. @throws {StoreError} */
export function reservedByOthers(
  sql: Sql,
  context: Pick<EditContext, "session" | "processes">,
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
        .find((one) => isReservedByOther(sql, context, one));
      return reservation ? [{ path, reservation }] : [];
    });
    if (reserved.length > 0) return reserved;
  }
  return [];
}

/** Covers the chat's shell, git and the hook. */
const maxAncestors = 20;

/** [FI21] Prefers the nearest client above the process to the environment. */
export function enclosingChat(sql: Sql, processes: Processes, env: NodeJS.ProcessEnv, parent: number): string | null {
  const ancestors = listAncestors(processes, parent).flatMap((process) => clients.current(sql, process) ?? []);
  return ancestors[0]?.sessionId ?? environmentSession(sql, env);
}

function environmentSession(sql: Sql, env: NodeJS.ProcessEnv): string | null {
  const ids = sessionVariables.flatMap(([, variable]) => env[variable] ?? []);
  return ids.map((id) => sessions.get(sql, idOf(id))).find((session) => session !== null)?.id ?? null;
}

function listAncestors(processes: Processes, pid: number, limit = maxAncestors): ProcessIdentity[] {
  const process = pid > 1 && limit > 0 ? identify(processes, pid) : null;
  if (process === null) return [];
  return [process, ...listAncestors(processes, processes.facts(pid)?.parent ?? 0, limit - 1)];
}
