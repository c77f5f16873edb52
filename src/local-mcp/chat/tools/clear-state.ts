import type { ToolError } from "../chat.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { forgetTarget } from "../../host/session-handlers.ts";
import { acknowledgeNotices } from "../../host/overview-handlers.ts";
import { dismiss } from "../../recovery/local-source.ts";
import { findStoredSession } from "../../sessions/short-ids.ts";
import type { ToolHandler, ToolInput } from "./tool.ts";

export const clearState: ToolHandler<"shim_clear_state"> = async (chat, input) => {
  const entered = chat.enter({ session: input.session, project: input.project }, "delete");
  if (!entered.ok) return entered;
  const cleared = await clear(chat.runtime, input);
  if (!cleared.ok) return cleared;
  chat.recent.clear();
  const { deleted, rows, backup } = cleared.value;
  const where = backup ? ` Backup: ${backup}` : "";
  return ok({
    text: `Deleted ${deleted} (${input.scope}).${where}`,
    output: {
      session: entered.value.id,
      deleted,
      ...(backup ? { backup } : {}),
      ...(input.detail === "detailed" && rows !== undefined ? { rows } : {}),
    },
  });
};

interface Cleared {
  readonly deleted: number;
  readonly rows?: number;
  readonly backup?: string | null;
}

/** [MC7] An unknown id changes nothing. */
async function clear(
  runtime: Runtime,
  { scope, id, forget }: ToolInput<"shim_clear_state">,
): Promise<Result<Cleared, ToolError>> {
  if (scope === "notices") return ok({ deleted: acknowledgeNotices(runtime).length });
  const isCheckpoint = scope === "checkpoint";
  const kind = isCheckpoint ? "checkpoint" : "session";
  if (id === undefined) return err({ code: "id_missing", message: `scope "${scope}" needs the id of the ${kind}.` });
  const unknown = err({ code: "unknown_id", message: `SHIM knows no ${kind} "${id}". Nothing was deleted.` });
  const found = isCheckpoint ? ok({ id }) : findStoredSession(runtime, id);
  if (!found.ok) return found;
  if (found.value === null) return unknown;
  const target = found.value.id;
  if (scope === "offer") return ok({ deleted: dismiss(runtime, target) ? 1 : 0 });
  const forgotten = await forgetTarget(runtime, { target, isCheckpoint, keepsCopies: forget !== true }, "chat");
  if (!forgotten.ok) return forgotten.error.code === "not_found" ? unknown : forgotten;
  const { sessions, checkpoints, ...rest } = forgotten.value;
  return ok({ ...rest, deleted: isCheckpoint ? checkpoints : sessions });
}
