import type { CheckpointGroup, ListedCheckpoint } from "../../contract/machine/sessions.ts";
import type { Sql } from "../../shared/sql.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import { readContents } from "../checkpoints/contents.ts";
import { shortCheckpointId, shortSessionId } from "../sessions/short-ids.ts";
import * as sessions from "../sessions/sessions.ts";

export interface GroupLimits {
  readonly sessions: number;
  readonly perSession: number;
}

/** [CL83] Each session once, by its newest checkpoint that fits. */
export function checkpointGroups(
  sql: Sql,
  filter: checkpoints.CheckpointFilter,
  limits: GroupLimits,
): CheckpointGroup[] {
  return checkpoints.sessionsWith(sql, { ...filter, limit: limits.sessions }).map(({ session: sessionId, total }) => {
    const session = sessions.get(sql, sessionId);
    const newest = checkpoints.search(sql, { ...filter, session: sessionId, limit: limits.perSession });
    return {
      id: sessionId,
      shortId: shortSessionId(sql, sessionId),
      title: session && sessions.displayTitle(session),
      project: session?.project ?? null,
      total,
      checkpoints: newest.map((one) => toListed(sql, one)),
    };
  });
}

function toListed(sql: Sql, one: checkpoints.Checkpoint): ListedCheckpoint {
  const contents = readContents(sql, one);
  return {
    ...one,
    shortId: shortCheckpointId(sql, one.id),
    contents: { ...contents, changedFiles: [...contents.changedFiles] },
  };
}
