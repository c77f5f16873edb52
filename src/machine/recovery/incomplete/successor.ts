import type { Sql } from "../../../shared/sql.ts";
import * as recoveries from "../../sessions/recoveries.ts";
import * as sessions from "../../sessions/sessions.ts";
import { briefedSessions } from "../../sessions/text/neutralize.ts";

/** Set for a client that `shim resume` starts: the id to which the dead session was given. */
export const successorVariable = "SHIM_SUCCESSOR";

/** Moves the succession of the environment's id to a chat; repeatable. */
export function adoptSuccession(sql: Sql, env: NodeJS.ProcessEnv, chat: string): void {
  const expected = env[successorVariable];
  if (expected === undefined || expected === chat) return;
  recoveries.moveTo(sql, expected, chat);
}

/**
 * Gives the chat the sessions whose briefs its prompt holds, where the expected successor
 * never began: chats may run in a process that was started before, with another environment.
 */
export function adoptBriefed(sql: Sql, prompt: string | undefined, chat: string): void {
  for (const id of briefedSessions(prompt ?? "")) {
    sessions.inheritTitle(sql, chat, id);
    const { is, by } = recoveries.claimOf(sql, id) ?? { is: "dismissed", by: null };
    if (is === "recovered" || by === null || by === chat || sessions.get(sql, by) !== null) continue;
    recoveries.moveTo(sql, by, chat);
  }
}
