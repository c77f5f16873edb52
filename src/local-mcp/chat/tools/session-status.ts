import * as checkpoints from "../../checkpoints/checkpoints.ts";
import { stateText, type ShownState } from "../../../contract/chat-state.ts";
import { ok } from "../../../shared/result.ts";
import type { Sql } from "../../../shared/sql.ts";
import { findIncomplete } from "../../recovery/detect.ts";
import { readState } from "../../recovery/session-state.ts";
import { displayTitle, type Session } from "../../sessions/sessions.ts";
import { neutralize } from "../../text/neutralize.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { age } from "../../../shared/format.ts";
import type { ToolHandler } from "./tool.ts";

export const sessionStatus: ToolHandler<"shim_session_status"> = (chat, input) => {
  const entered = chat.enter(input, "look");
  if (!entered.ok) return entered;
  const session = entered.value;
  const { runtime } = chat;
  const now = runtime.now();
  const facts = runtime.store.read((sql) => readFacts(sql, runtime, session), noFacts);
  const savedMsAgo = session.savedAt === null ? undefined : now - session.savedAt;
  const saved = savedMsAgo === undefined ? "not saved yet" : `saved ${age(savedMsAgo)} ago`;
  return ok({
    text: `Session ${session.id}: ${stateText(facts.shown)}; ${saved}; checkpoints: ${facts.count}; other sessions that died: ${deadText(facts)}.`,
    output: {
      session: session.id,
      client: session.client,
      ...facts.shown,
      ...labels(session),
      ...(savedMsAgo === undefined ? {} : { savedMsAgo }),
      checkpoints: facts.count,
      died: facts.died,
      ...(facts.offeredHere === 0 ? {} : { offeredHere: facts.offeredHere }),
      store: runtime.store.driver ?? "closed",
      ...(input.detail === "detailed" && facts.latest ? { latest: { ...facts.latest } } : {}),
    },
  });
};

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
  readonly shown: ShownState;
  /** With those that this chat was offered. */
  readonly died: number;
  readonly offeredHere: number;
}

const noFacts: StatusFacts = {
  count: 0,
  latest: null,
  shown: { state: "works", detail: null },
  died: 0,
  offeredHere: 0,
};

function readFacts(sql: Sql, runtime: Runtime, session: Session): StatusFacts {
  const { id } = session;
  const open = findIncomplete(sql, runtime.processes, runtime.now(), { except: id, limit: 100 });
  const dead = open.filter((one) => readState(sql, runtime, one.session).state === "died");
  return {
    count: countCheckpoints(sql, id),
    latest: checkpoints.latest(sql, id),
    shown: readState(sql, runtime, session),
    died: dead.length,
    offeredHere: dead.filter(({ offer }) => offer?.chat === id).length,
  };
}

function deadText({ died, offeredHere }: StatusFacts): string {
  return offeredHere === 0 ? String(died) : `${died}, ${offeredHere} of them offered to this chat`;
}

function countCheckpoints(sql: Sql, sessionId: string): number {
  const [row] = sql.all<{ n: number }>("SELECT count(*) AS n FROM checkpoints WHERE session_id = ?", sessionId);
  return row?.n ?? 0;
}
