import { ok } from "../../../shared/result.ts";
import { captureNotes, captureRefusal, finish } from "../capture-notes.ts";
import type { ToolHandler } from "./tool.ts";

export const forceCheckpoint: ToolHandler<"shim_force_checkpoint"> = (chat, input) => {
  const entered = chat.enter(input);
  if (!entered.ok) return entered;
  const sessionId = entered.value.id;
  const { session: _session, project: _project, finish: isFinished, detail, ...given } = input;
  const saved = captureNotes(chat, sessionId, "on_demand", given);
  if (!saved.ok) return captureRefusal(saved.error);
  if (isFinished) finish(chat, sessionId);
  const { checkpoint, isNew, redactions } = saved.value;
  const end = isFinished ? " The session is marked finished." : "";
  return ok({
    text: `${isNew ? "Saved" : "Unchanged since"} ${checkpoint.id} (${checkpoint.rawBytes} bytes).${end}`,
    output: {
      session: sessionId,
      checkpoint: checkpoint.id,
      isNew,
      bytes: checkpoint.rawBytes,
      redactions,
      ...(detail === "detailed" ? { summary: checkpoint.summary } : {}),
    },
  });
};
