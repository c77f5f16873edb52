import type { Sql } from "../../shared/sql.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";

/** Set for a client that `shim resume` starts: the id to which the dead session was given. */
export const successorVariable = "SHIM_SUCCESSOR";

/** [HO9] [CA50] Moves the succession of the environment's id to a chat; repeatable. */
export function adoptSuccession(sql: Sql, env: NodeJS.ProcessEnv, chat: string): void {
  const expected = env[successorVariable];
  if (expected === undefined || expected === chat) return;
  sessions.moveOffers(sql, expected, chat);
  recoveries.moveTo(sql, expected, chat);
}
