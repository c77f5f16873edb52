import type { Sql } from "../../shared/sql.ts";
import { resolve, type RecoveryProgress } from "../recovery/resolution.ts";
import * as recoveries from "../sessions/recoveries.ts";
import type { Rediscovery } from "../sessions/recoveries.ts";

/**
 * [EX261] What a chat repeated of the brief of a dead session that it continued. Null where no chat
 * continued the session, or the one that did was given no brief.
 */
export function rediscoveryOf(
  sql: Sql,
  { session, continuedBy }: Pick<RecoveryProgress, "session" | "continuedBy">,
): Rediscovery | null {
  if (continuedBy === null) return null;
  return recoveries.latestOffer(sql, session, continuedBy)?.detail.rediscovery ?? null;
}

export function progressOf(sql: Sql, session: string): Pick<RecoveryProgress, "session" | "continuedBy"> {
  const [progress] = resolve(recoveries.listEvents(sql, { session }));
  return progress ?? { session, continuedBy: null };
}
