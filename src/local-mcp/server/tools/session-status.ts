import * as checkpoints from "../../checkpoints/checkpoints.ts";
import { SessionStatus } from "../../../contract/tools.ts";
import { ok } from "../../../shared/result.ts";
import type { Sql } from "../../../shared/sql.ts";
import { findIncomplete } from "../../recovery/detect.ts";
import { displayTitle, type Session } from "../../sessions/sessions.ts";
import { neutralize } from "../../text/neutralize.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
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
    const facts = runtime.store.read((sql) => readFacts(sql, runtime, session.id), noFacts);
    const savedMsAgo = session.savedAt === null ? undefined : now - session.savedAt;
    const saved = savedMsAgo === undefined ? "not saved yet" : `saved ${age(savedMsAgo)} ago`;
    return ok({
      text: `Session ${session.id}: ${saved}; checkpoints: ${facts.count}; other sessions that died unfinished: ${deadText(facts)}.`,
      output: {
        session: session.id,
        client: session.client,
        ...labels(session),
        ...(savedMsAgo === undefined ? {} : { savedMsAgo }),
        checkpoints: facts.count,
        incomplete: facts.incomplete,
        ...(facts.offeredHere === 0 ? {} : { offeredHere: facts.offeredHere }),
        store: runtime.store.driver ?? "closed",
        ...(input.detail === "detailed" && facts.latest ? { latest: { ...facts.latest } } : {}),
      },
    });
  },
});

function labels(session: Session): { title?: string; project?: string } {
  const title = displayTitle(session);
  return {
    ...(title === null ? {} : { title: neutralize(title) }),
    ...(session.project ? { project: session.project } : {}),
  };
}

interface StatusFacts {
  readonly count: number;
  readonly latest: checkpoints.Checkpoint | null;
  /** With those that this chat was offered. */
  readonly incomplete: number;
  readonly offeredHere: number;
}

const noFacts: StatusFacts = { count: 0, latest: null, incomplete: 0, offeredHere: 0 };

function readFacts(sql: Sql, { processes, now }: Runtime, id: string): StatusFacts {
  const incomplete = findIncomplete(sql, processes, now(), { except: id, limit: 100 });
  return {
    count: countCheckpoints(sql, id),
    latest: checkpoints.latest(sql, id),
    incomplete: incomplete.length,
    offeredHere: incomplete.filter(({ offer }) => offer?.chat === id).length,
  };
}

function deadText({ incomplete, offeredHere }: StatusFacts): string {
  return offeredHere === 0 ? String(incomplete) : `${incomplete}, ${offeredHere} of them offered to this chat`;
}

function countCheckpoints(sql: Sql, sessionId: string): number {
  const [row] = sql.all<{ n: number }>("SELECT count(*) AS n FROM checkpoints WHERE session_id = ?", sessionId);
  return row?.n ?? 0;
}
