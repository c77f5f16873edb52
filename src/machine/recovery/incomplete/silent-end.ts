import { adapterOf } from "../../../clients/adapters.ts";
import type { Sql } from "../../../shared/sql.ts";
import { currentState } from "../../checkpoints/capture.ts";
import { closedReason, hasOpenWork, isClosed } from "../../sessions/closed-sessions.ts";
import * as clients from "../../sessions/clients.ts";
import * as journal from "../../sessions/journal.ts";
import type { Session } from "../../sessions/sessions.ts";

/** Only reads. Gives a dead session the end that its client did not report. */
export function withSilentEnd(sql: Sql, session: Session): Session {
  if (session.endedAt !== null || !endsSilently(sql, session) || !isAfterTurn(sql, session.id)) return session;
  if (endsInOrder(session)) return { ...session, endedAt: session.lastSeenAt };
  if (isClosed(session)) return session;
  const detachReason = closing(sql, session);
  return detachReason === null ? session : { ...session, detachReason, detachedAt: session.lastSeenAt };
}

/** Reasons of an MCP process that was ended by a client which was alive. */
const orderlyReasons: ReadonlySet<string | null> = new Set(["stdin_end", "sigterm"]);

/** Its MCP process has seen what the client does not report. */
function endsInOrder({ client, detachReason }: Session): boolean {
  return adapterOf(client)?.endsSilently === true && orderlyReasons.has(detachReason);
}

function isAfterTurn(sql: Sql, id: string): boolean {
  const [last] = journal.newest(sql, id, ["prompt", "tool_start", "tool_end", "tool_error", "turn_end", "failure"], 1);
  return last?.entry.kind === "turn_end";
}

/** Where no event says that a chat was closed, the end of its last turn does. */
function closing(sql: Sql, { id }: Session): string | null {
  const state = currentState(sql, id);
  return state && closedReason(hasOpenWork(state));
}

/** The user has left the sessions of one process in which the last prompt was not made. */
function endsSilently(sql: Sql, { id, client, owner }: Session): boolean {
  const adapter = adapterOf(client);
  if (adapter?.endsSilently) return true;
  return adapter?.hasThreads === true && owner !== null && clients.current(sql, owner)?.session !== id;
}
