import * as checkpoints from "../../checkpoints/checkpoints.ts";
import { SessionStatus } from "../../../contract/tools.ts";
import { ok } from "../../../shared/result.ts";
import type { Sql } from "../../../shared/sql.ts";
import { findIncomplete } from "../../recovery/detect.ts";
import { age } from "../../../shared/format.ts";
import { defineTool } from "./tool.ts";

export const sessionStatus = defineTool({
  name: "shim_session_status",
  title: "Save status of this session",
  description: "This session's handle, last save and checkpoints; how many others died.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  ...SessionStatus,
  run(chat, input) {
    const entered = chat.enter(input, "look");
    if (!entered.ok) return entered;
    const session = entered.value;
    const { runtime } = chat;
    const now = runtime.now();
    const facts = runtime.store.read(
      (sql) => ({
        count: countCheckpoints(sql, session.id),
        latest: checkpoints.latest(sql, session.id),
        incomplete: findIncomplete(sql, runtime.processes, now, { except: session.id, limit: 100 }).length,
      }),
      { count: 0, latest: null, incomplete: 0 },
    );
    const savedMsAgo = session.savedAt === null ? undefined : now - session.savedAt;
    const saved = savedMsAgo === undefined ? "not saved yet" : `saved ${age(savedMsAgo)} ago`;
    return ok({
      text: `Session ${session.id}: ${saved}; checkpoints: ${facts.count}; other sessions that died unfinished: ${facts.incomplete}.`,
      output: {
        session: session.id,
        client: session.client,
        ...(session.project ? { project: session.project } : {}),
        ...(savedMsAgo === undefined ? {} : { savedMsAgo }),
        checkpoints: facts.count,
        incomplete: facts.incomplete,
        store: runtime.store.driver ?? "closed",
        ...(input.detail === "detailed" && facts.latest ? { latest: { ...facts.latest } } : {}),
      },
    });
  },
});

function countCheckpoints(sql: Sql, sessionId: string): number {
  const [row] = sql.all<{ n: number }>("SELECT count(*) AS n FROM checkpoints WHERE session_id = ?", sessionId);
  return row?.n ?? 0;
}
