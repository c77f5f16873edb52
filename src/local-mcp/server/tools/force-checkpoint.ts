import { ForceCheckpoint } from "../../../contract/tools.ts";
import { ok } from "../../../shared/result.ts";
import { capture } from "../../checkpoints/capture.ts";
import * as sessions from "../../sessions/sessions.ts";
import { cleanNotes } from "./notes.ts";
import { captureRefusal } from "./refusals.ts";
import { defineTool } from "./tool.ts";

export const forceCheckpoint = defineTool({
  name: "shim_force_checkpoint",
  title: "Checkpoint now",
  description: "Saves a checkpoint now, in your words; what you leave out keeps its last value. Secrets are removed.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  ...ForceCheckpoint,
  run(chat, input) {
    const entered = chat.enter(input);
    if (!entered.ok) return entered;
    const sessionId = entered.value.id;
    const { session: _session, project: _project, finish, detail, ...given } = input;
    const clean = cleanNotes(given);
    const saved = capture(chat.runtime, { sessionId, trigger: "on_demand", ...clean }, chat.recent);
    if (!saved.ok) return captureRefusal(saved.error);
    if (finish) chat.runtime.store.write((sql) => sessions.end(sql, chat.runtime.now(), sessionId, "finished"));
    const { checkpoint, isNew } = saved.value;
    const end = finish ? " The session is marked finished." : "";
    return ok({
      text: `${isNew ? "Saved" : "Unchanged since"} ${checkpoint.id} (${checkpoint.rawBytes} bytes).${end}`,
      output: {
        session: sessionId,
        checkpoint: checkpoint.id,
        isNew,
        bytes: checkpoint.rawBytes,
        redactions: clean.redactions,
        ...(detail === "detailed" ? { summary: checkpoint.summary } : {}),
      },
    });
  },
});
