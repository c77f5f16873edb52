import { stateText } from "../../../contract/chat-state.ts";
import { ok } from "../../../shared/result.ts";
import { readSessionStatus } from "../../host/session-view.ts";
import { neutralize } from "../../text/neutralize.ts";
import { age } from "../../../shared/format.ts";
import { captureRefusal } from "../capture-notes.ts";
import type { ToolHandler } from "./tool.ts";

export const sessionStatus: ToolHandler<"shim_session_status"> = (chat, input) => {
  const entered = chat.enter(input, "look");
  if (!entered.ok) return entered;
  const { runtime } = chat;
  const status = readSessionStatus(runtime, entered.value);
  if (!status) return captureRefusal({ code: "unknown_session" });
  const { view, latest, died, offeredHere, driver } = status;
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
      store: driver ?? "closed",
      ...(input.detail === "detailed" && latest ? { latest: { ...latest } } : {}),
    },
  });
};
