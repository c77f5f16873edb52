import { namesAbove } from "../../coordination/paths.ts";
import type { Sql } from "../../shared/sql.ts";
import { identify, type ProcessIdentity, type Processes } from "../processes.ts";
import * as clients from "../sessions/clients.ts";
import * as sessions from "../sessions/sessions.ts";
import { isOfAnother, projectsOf, type Guarded } from "./file-guard.ts";
import * as files from "./files-table.ts";

/** A file of a commit that another living chat has reserved, as far as this machine knows. */
export interface ReservedFile {
  /** From the root of the work tree. */
  readonly path: string;
  readonly held: files.Reservation;
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
  around: Pick<Guarded, "session" | "processes">,
  root: string,
  paths: readonly string[],
): ReservedFile[] {
  const all = files.list(sql);
  if (all.length === 0) return [];
  for (const { workspace, project } of projectsOf(sql, { path: root, roots: [root] })) {
    const held = new Map(all.filter((one) => one.workspace === workspace).map((one) => [one.resource, one]));
    const found = paths.flatMap((path) => {
      const names = namesAbove(`file:${project}/${path}`);
      const reservation = names.flatMap((name) => held.get(name) ?? []).find((one) => isOfAnother(sql, around, one));
      return reservation ? [{ path, held: reservation }] : [];
    });
    if (found.length > 0) return found;
  }
  return [];
}

/** A commit is made by a shell that a chat has started, behind git and the hook. */
const mostAncestors = 20;

/** [FI21] The chat in which a process runs: that of the nearest client above it, else the one that the environment names. Null: no chat. */
export function chatAround(sql: Sql, processes: Processes, env: NodeJS.ProcessEnv, parent: number): string | null {
  const above = ancestorsOf(processes, parent).flatMap((process) => clients.current(sql, process) ?? []);
  const given = env["CLAUDE_CODE_SESSION_ID"] ?? "";
  return above[0]?.sessionId ?? sessions.get(sql, given)?.id ?? null;
}

/** The process itself first. */
function ancestorsOf(processes: Processes, pid: number, most = mostAncestors): ProcessIdentity[] {
  const process = pid > 1 && most > 0 ? identify(processes, pid) : null;
  if (process === null) return [];
  return [process, ...ancestorsOf(processes, processes.facts(pid)?.parent ?? 0, most - 1)];
}
