import type { HookInput } from "../../contract/hook-input.ts";
import { uuidv7 } from "../../shared/ids.ts";
import type { Sql } from "../../shared/sql.ts";
import { isAlive, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as clients from "../sessions/clients.ts";
import * as sessions from "../sessions/sessions.ts";

export interface HookSession {
  readonly id: string;
  /** Set when another live client uses the client's id: this session is a fork of it. */
  readonly parentId: string | null;
}

/** [ID2] [ID4] @param mayMove false for events that may come late from a session already left */
export function resolveSession(
  sql: Sql,
  runtime: Runtime,
  input: HookInput,
  client: ProcessIdentity | null,
  mayMove: boolean,
): HookSession {
  const givenId = input.session_id;
  if (!client) return { id: givenId, parentId: null };
  const current = clients.current(sql, client);
  if (current?.givenId === givenId) return { id: current.sessionId, parentId: null };
  if (current && !mayMove) return { id: givenId, parentId: null };
  const now = runtime.now();
  const isTaken = isHeldByAnother(runtime, sessions.get(sql, givenId), client);
  const id = isTaken ? `ses_${uuidv7(now, runtime.random(16))}` : givenId;
  clients.moveTo(sql, now, client, { givenId, sessionId: id });
  if (current) detachSession(sql, now, current.sessionId, client);
  return { id, parentId: isTaken ? givenId : null };
}

export function knownSessionId(sql: Sql, input: HookInput, client: ProcessIdentity | null): string {
  const current = client ? clients.current(sql, client) : null;
  return current?.givenId === input.session_id ? current.sessionId : input.session_id;
}

function isHeldByAnother(runtime: Runtime, session: sessions.Session | null, client: ProcessIdentity): boolean {
  const owner = session?.owner;
  if (!owner || session.endedAt !== null) return false;
  const isSame = owner.pid === client.pid && owner.start === client.start && owner.boot === client.boot;
  return !isSame && isAlive(runtime.processes, owner);
}

function detachSession(sql: Sql, now: number, sessionId: string, client: ProcessIdentity): void {
  // Windows gives no start time: this process may have reused the id of the session's client.
  if (client.start === "unknown") return;
  const session = sessions.get(sql, sessionId);
  if (session && session.endedAt === null) sessions.end(sql, now, sessionId, "moved_on");
}
