import { err, ok, type Result } from "../../shared/result.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import { dismiss } from "../recovery/local-source.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { dropMarked } from "../../snapshots/stored-snapshots.ts";
import { backUp } from "../../store/backup.ts";
import { forget, purge, type ForgetTarget } from "../retention/forget.ts";
import * as notices from "../../store/notices.ts";
import { findSessionArgument } from "../sessions/session-prefix.ts";
import type { ToolError } from "./tool.ts";

export interface ClearRequest {
  readonly scope: "checkpoint" | "session" | "offer" | "notices";
  readonly id?: string | undefined;
  readonly forget?: boolean | undefined;
}

export interface ClearResult {
  readonly deleted: number;
  readonly backup?: string;
  readonly rows?: number;
}

/** [MC7] Makes a backup first unless `forget` is set; an unknown id changes nothing. */
export async function clear(runtime: Runtime, request: ClearRequest): Promise<Result<ClearResult, ToolError>> {
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
  const failures = await dropMarked(runtime, 0);
  if (isForgotten) await purge(runtime.store, runtime.paths);
  if (failures.length > 0) {
    const message = `The rows are deleted; saved files could not be removed: ${failures.join("; ")}`;
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
