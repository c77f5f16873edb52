import type { Runtime } from "../../runtime/runtime.ts";
import { storeDurations } from "../../runtime/durations.ts";
import { takePending } from "../../snapshots/pending-snapshots.ts";
import { capture } from "../checkpoints/capture.ts";
import { drainInto } from "../hooks/spool-hook.ts";
import { catchUp } from "../observe/record-transcript.ts";
import { isSessionPaused } from "../sessions/paused-session.ts";
import * as sessions from "../sessions/sessions.ts";
import { recordDeath } from "../recovery/deaths.ts";

const filesTimeoutMs = 5_000;

/**
 * [SU6] Reads spool, transcript and journal. Files are taken for a new checkpoint only.
 *
 * @returns its id; null: nothing to save, a session that ended well, or a pause
 * @throws {StoreError} when the store cannot be written now
 */
export async function saveLastCheckpoint(runtime: Runtime, sessionId: string): Promise<string | null> {
  drainInto(runtime);
  const session = runtime.store.read((sql) => sessions.get(sql, sessionId), null);
  if (!session || session.endedAt !== null) return null;
  runtime.store.write((sql) => {
    catchUp(sql, runtime.now(), sessionId);
    // [RE60] First, since the checkpoint would hide the loss that the death record counts.
    recordDeath(sql, runtime, sessionId);
  });
  if (runtime.store.read((sql) => isSessionPaused(sql, runtime.now(), session), false)) return null;
  const saved = capture(runtime, { sessionId, trigger: "detached" });
  if (!saved.ok) return null;
  storeDurations(runtime);
  if (saved.value.isNew) await takePending(runtime, [sessionId], AbortSignal.timeout(filesTimeoutMs));
  return saved.value.checkpoint.id;
}
