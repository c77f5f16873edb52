import type { ToolError } from "../chat.ts";
import * as checkpoints from "../../checkpoints/checkpoints.ts";
import * as notices from "../../../store/notices.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { findSessionArgument } from "../../sessions/session-prefix.ts";
import { backUp } from "../../../store/backup.ts";
import { dismiss } from "../../recovery/local-source.ts";
import { dropMarked } from "../../../snapshots/stored-snapshots.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { forget, purge, type ForgetTarget } from "../../retention/forget.ts";
import type { ToolHandler } from "./tool.ts";

export const clearState: ToolHandler<"shim_clear_state"> = async (chat, input) => {
  const entered = chat.enter({ session: input.session, project: input.project }, "delete");
  if (!entered.ok) return entered;
  const clearResult = await clear(chat.runtime, input);
  if (!clearResult.ok) return clearResult;
  chat.recent.clear();
  const { rows, ...cleared } = clearResult.value;
  const backup = clearResult.value.backup ? ` Backup: ${clearResult.value.backup}` : "";
  return {
    ok: true,
    value: {
      text: `Deleted ${clearResult.value.deleted} (${input.scope}).${backup}`,
      output: {
        session: entered.value.id,
        ...cleared,
        ...(input.detail === "detailed" && rows !== undefined ? { rows } : {}),
      },
    },
  };
};

interface ClearRequest {
  readonly scope: "checkpoint" | "session" | "offer" | "notices";
  readonly id?: string | undefined;
  readonly forget?: boolean | undefined;
}

interface ClearResult {
  readonly deleted: number;
  readonly backup?: string;
  readonly rows?: number;
}

/** [MC7] Makes a backup first unless `forget` is set; an unknown id changes nothing. */
async function clear(runtime: Runtime, request: ClearRequest): Promise<Result<ClearResult, ToolError>> {
  const { scope, id } = request;
  if (scope === "notices")
    return ok({ deleted: runtime.store.write((sql) => notices.acknowledge(sql, runtime.now(), null)) });
  const kind = scope === "checkpoint" ? "checkpoint" : "session";
  if (id === undefined) return err({ code: "id_missing", message: `scope "${scope}" needs the id of the ${kind}.` });
  const known = knownId(runtime, kind, id);
  if (!known.ok) return known;
  if (known.value === null) {
    return err({ code: "unknown_id", message: `SHIM knows no ${kind} "${id}". Nothing was deleted.` });
  }
  if (scope === "offer") return ok({ deleted: dismiss(runtime, known.value) ? 1 : 0 });
  const target = kind === "checkpoint" ? { checkpoint: known.value } : { session: known.value };
  return remove(runtime, target, request.forget === true);
}

async function remove(
  runtime: Runtime,
  target: ForgetTarget,
  isForgotten: boolean,
): Promise<Result<ClearResult, ToolError>> {
  const backup = isForgotten ? null : await backUp(runtime.store, runtime.now(), runtime.config.retention.backups);
  const forgotten = runtime.store.write((sql) => forget(sql, target, !isForgotten));
  const { failures } = await dropMarked(runtime, { maxGarbage: 0 });
  if (isForgotten) await purge(runtime.store, runtime.paths);
  if (failures.length > 0) {
    const reasons = failures.map(({ message }) => message).join("; ");
    const message = `The rows are deleted; saved files could not be removed: ${reasons}`;
    return err({ code: "files_left", message });
  }
  const deleted = "checkpoint" in target ? forgotten.checkpoints.length : forgotten.sessions.length;
  return ok({ deleted, rows: forgotten.rows, ...(backup ? { backup } : {}) });
}

/** Checkpoint ids are similar, so only a session may be named by a prefix. */
function knownId(runtime: Runtime, kind: "checkpoint" | "session", id: string): Result<string | null, ToolError> {
  return runtime.store.read<Result<string | null, ToolError>>((sql) => {
    if (kind === "checkpoint") return ok(checkpoints.byPrefix(sql, id)[0]?.id === id ? id : null);
    const found = findSessionArgument(sql, id);
    return found.ok ? ok(found.value?.id ?? null) : found;
  }, ok(null));
}
