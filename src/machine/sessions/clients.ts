import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import { clients, isUnsettledSql, sessions, type ClientSession, type Session } from "../../store/session-tables.ts";
import { identityOf } from "./sessions.ts";

const clientSessions = clients.pick("givenId", "session");
const familyOf = sessions.pick("id", "parentId");

export function current(sql: Sql, client: ProcessIdentity): ClientSession | null {
  return clientSessions.find(sql, identityOf(client));
}

/**
 * SHIM's id of a session that the client works in under this id; a fork that is not the
 * client's current session is found by its owner. Null: it has none.
 */
export function sessionOf(sql: Sql, client: ProcessIdentity, givenId: string): string | null {
  const now = current(sql, client);
  if (now?.givenId === givenId) return now.session;
  return listOpen(sql, client).find(({ parentId }) => parentId === givenId)?.id ?? null;
}

/** Sessions of other windows that work, or have worked, under the same id of the client. */
export function otherWindows(sql: Sql, { id, parentId }: Pick<Session, "id" | "parentId">): string[] {
  const found = clientSessions.select(sql, "WHERE givenId = ? AND session <> ?", parentId ?? id, id);
  return [...new Set(found.map(({ session }) => session)).add(parentId ?? id)].filter((one) => one !== id);
}

/** Sessions of the client that have neither ended nor died. */
export function openIn(sql: Sql, client: ProcessIdentity): string[] {
  return listOpen(sql, client).map(({ id }) => id);
}

/** A client has one fork of a session at most. */
function listOpen(sql: Sql, client: ProcessIdentity): RowOf<typeof familyOf>[] {
  return familyOf.select(sql, `WHERE ${isUnsettledSql} AND owner = ?`, JSON.stringify(identityOf(client)));
}

/** Replaces the client's row. */
export function moveTo(sql: Sql, now: number, client: ProcessIdentity, to: ClientSession): void {
  clients.put(sql, { ...client, ...to, at: now });
}

/** Spares recent rows: a home that two machines share has two boots at a time. */
export function prune(sql: Sql, boot: string, before: number): void {
  sql.run("DELETE FROM clients WHERE boot <> ? AND at < ?", boot, before);
}
