import { capture } from "../local-mcp/checkpoints/capture.ts";
import { drainInto } from "../local-mcp/hooks/spool-hook.ts";
import { recordDeath } from "../local-mcp/recovery/deaths.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { catchUp } from "../local-mcp/sessions/catch-up.ts";
import { isSessionPaused } from "../local-mcp/sessions/paused-session.ts";
import * as sessions from "../local-mcp/sessions/sessions.ts";
import { takePending } from "../snapshots/pending-snapshots.ts";

/** How long the files may take. */
const filesTimeoutMs = 5_000;

/**
 * [SU6] A session's last checkpoint, from what its chat has left on the disk: hooks that still wait in the spool, the transcript, the journal.
 * Files are taken for a new checkpoint only, a moment after the death.
 *
 * @param hurrySignal aborted: the files are left out
 * @returns its id; null where there is nothing to save, it has ended well, or saving is paused
 * @throws {StoreError} when the store takes nothing now
 */
export async function saveLastCheckpoint(
  runtime: Runtime,
  sessionId: string,
  hurrySignal: AbortSignal,
): Promise<string | null> {
  drainInto(runtime);
  const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
  if (!session || session.endedAt !== null) return null;
  runtime.store.write((sql) => {
    catchUp(sql, runtime.now(), sessionId);
    // [RE60] Before the last checkpoint, which hides what the death would have lost.
    recordDeath(sql, runtime, sessionId);
  });
  if (runtime.store.read((sql) => isSessionPaused(sql, runtime.now(), session), false)) return null;
  const saved = capture(runtime, { sessionId, trigger: "detached" });
  if (!saved.ok) return null;
  const limit = AbortSignal.any([hurrySignal, AbortSignal.timeout(filesTimeoutMs)]);
  if (saved.value.isNew) await takePending(runtime, [sessionId], limit);
  return saved.value.checkpoint.id;
}
