import { adapterOf } from "../../clients/adapters.ts";
import type { HookEvent } from "../../contract/hook-input.ts";
import { isAlive, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { uuidv7 } from "../../shared/ids.ts";
import type { Sql } from "../../shared/sql.ts";
import type { ClientSession } from "../../store/session-tables.ts";
import * as clients from "../sessions/clients.ts";
import * as sessions from "../sessions/sessions.ts";
import type { HookContext } from "./hook-context.ts";

/** Events that show a client's session; a subagent of the session before may end later. */
const sessionSwitchEvents: ReadonlySet<HookEvent> = new Set(["SessionStart", "UserPromptSubmit"]);

interface HookSession {
  readonly id: string;
  /** Set when another live client uses the client's id: this session is a fork of it. */
  readonly parentId: string | null;
}

/** [ID2] [ID4] An event that may come late, from a session already left, moves no client. */
export function resolveSession(sql: Sql, runtime: Runtime, context: HookContext): HookSession {
  const { event, input, client } = context;
  const givenId = input.session_id;
  if (!client) return { id: givenId, parentId: null };
  const current = clients.current(sql, client);
  const isSwitch = current?.givenId !== givenId && (!current || sessionSwitchEvents.has(event));
  if (isSwitch) return switchSession(sql, runtime, context, client, current);
  return { id: clients.sessionOf(sql, client, givenId) ?? givenId, parentId: null };
}

function switchSession(
  sql: Sql,
  runtime: Runtime,
  { input, clientName }: HookContext,
  client: ProcessIdentity,
  left: ClientSession | null,
): HookSession {
  const now = runtime.now();
  const givenId = input.session_id;
  const fork = clients.sessionOf(sql, client, givenId);
  const isTaken = fork === null && isHeldByAnother(runtime, sessions.get(sql, givenId), client);
  const id = isTaken ? `ses_${uuidv7(now, runtime.random(16))}` : (fork ?? givenId);
  clients.moveTo(sql, now, client, { givenId, session: id });
  // [ID19] A client with threads reports the end of each.
  if (left && !adapterOf(clientName)?.hasThreads) endLeftSession(sql, now, left.session, client);
  return { id, parentId: isTaken || fork !== null ? givenId : null };
}

function isHeldByAnother(runtime: Runtime, session: sessions.Session | null, client: ProcessIdentity): boolean {
  const owner = session?.owner;
  if (!owner || session.endedAt !== null) return false;
  const isSame = owner.pid === client.pid && owner.start === client.start && owner.boot === client.boot;
  return !isSame && isAlive(runtime.processes, owner);
}

function endLeftSession(sql: Sql, now: number, sessionId: string, client: ProcessIdentity): void {
  // Windows gives no start time: this process may have reused the id of the session's client.
  if (client.start === "unknown") return;
  const session = sessions.get(sql, sessionId);
  if (session && session.endedAt === null) sessions.end(sql, now, sessionId, "moved_on");
}
