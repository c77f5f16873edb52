import { namesAbove } from "../../contract/resource-paths.ts";
import type { Sql } from "../../shared/sql.ts";
import { identify, type ProcessIdentity, type Processes } from "../../platform/processes.ts";
import * as clients from "../sessions/clients.ts";
import * as sessions from "../sessions/sessions.ts";
import { isReservedByOther, findProjects, type EditContext } from "./file-guard.ts";
import * as reservationTable from "./reservation-table.ts";

/** A file of a commit that another living chat has reserved, as far as this machine knows. */
export interface ReservedFile {
  /** From the root of the work tree. */
  readonly path: string;
  readonly reservation: reservationTable.Reservation;
}

/**
 * [FI20] The files of a commit that others have reserved, in any checkout.
 *
 * @param root of the work tree
 * @param paths from the root
 * @throws {StoreError} when the store cannot be read
 */
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

/** A commit is made by a shell that a chat has started, behind git and the hook. */
const maxAncestors = 20;

/** [FI21] The chat in which a process runs: that of the nearest client above it, else the one that the environment names. Null: no chat. */
export function enclosingChat(sql: Sql, processes: Processes, env: NodeJS.ProcessEnv, parent: number): string | null {
  const ancestors = listAncestors(processes, parent).flatMap((process) => clients.current(sql, process) ?? []);
  const environmentSession = env["CLAUDE_CODE_SESSION_ID"] ?? "";
  return ancestors[0]?.sessionId ?? sessions.get(sql, environmentSession)?.id ?? null;
}

/** The process itself first. */
function listAncestors(processes: Processes, pid: number, limit = maxAncestors): ProcessIdentity[] {
  const process = pid > 1 && limit > 0 ? identify(processes, pid) : null;
  if (process === null) return [];
  return [process, ...listAncestors(processes, processes.facts(pid)?.parent ?? 0, limit - 1)];
}
