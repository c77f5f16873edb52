import * as checkpoints from "../../checkpoints/checkpoints.ts";
import { stateText } from "../../../contract/chat-state.ts";
import { ok } from "../../../shared/result.ts";
import type { Sql } from "../../../shared/sql.ts";
import { toSessionView } from "../../host/session-view.ts";
import { findIncomplete } from "../../recovery/detect.ts";
import { readState } from "../../recovery/session-state.ts";
import type { Session } from "../../sessions/sessions.ts";
import { neutralize } from "../../text/neutralize.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { age } from "../../../shared/format.ts";
import { captureRefusal } from "./capture-notes.ts";
import type { ToolHandler } from "./tool.ts";

export const sessionStatus: ToolHandler<"shim_session_status"> = (chat, input) => {
  const entered = chat.enter(input, "look");
  if (!entered.ok) return entered;
  const { runtime } = chat;
  const status = runtime.store.read((sql) => readStatus(sql, runtime, entered.value), null);
  if (!status) return captureRefusal({ code: "unknown_session" });
  const { view, latest, died, offeredHere } = status;
  const { id, client, title, project, state, detail, savedAt, checkpoints: count } = view;
  const savedMsAgo = savedAt === null ? undefined : runtime.now() - savedAt;
  const saved = savedMsAgo === undefined ? "not saved yet" : `saved ${age(savedMsAgo)} ago`;
  const dead = offeredHere === 0 ? String(died) : `${died}, ${offeredHere} of them offered to this chat`;
  return ok({
    text: `Session ${id}: ${stateText(view)}; ${saved}; checkpoints: ${count}; other sessions that died: ${dead}.`,
    output: {
      session: id,
      client,
      state,
      detail,
      ...(title === null ? {} : { title: neutralize(title) }),
      ...(project ? { project } : {}),
      ...(savedMsAgo === undefined ? {} : { savedMsAgo }),
      checkpoints: count,
      died,
      ...(offeredHere === 0 ? {} : { offeredHere }),
      store: runtime.store.driver ?? "closed",
      ...(input.detail === "detailed" && latest ? { latest: { ...latest } } : {}),
    },
  });
};

/** `died`: with those that this chat was offered. */
function readStatus(sql: Sql, runtime: Runtime, session: Session) {
  const { id } = session;
  const open = findIncomplete(sql, runtime.processes, runtime.now(), { except: id, limit: 100 });
  const dead = open.filter((one) => readState(sql, runtime, one.session).state === "died");
  return {
    view: toSessionView(sql, runtime, session),
    latest: checkpoints.latest(sql, id),
    died: dead.length,
    offeredHere: dead.filter(({ offer }) => offer?.chat === id).length,
  };
}
