import * as sessions from "../local-mcp/sessions/sessions.ts";
import type { Result } from "../shared/result.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { storeDurations } from "../runtime/store-durations.ts";
import { capture } from "../local-mcp/checkpoints/capture.ts";
import { catchUp } from "../local-mcp/observe/record-transcript.ts";
import { drainInto } from "../local-mcp/hooks/spool-hook.ts";
import { isSessionPaused } from "../local-mcp/sessions/paused-session.ts";
import { mayBeAlive } from "../platform/processes.ts";
import { readProcessKey } from "../coordinator-client/local/process-key.ts";
import { recordDeath } from "../local-mcp/recovery/deaths.ts";
import { takePending } from "../snapshots/pending-snapshots.ts";
import { messageOf } from "../shared/error.ts";
import type { SupervisorEvent } from "./supervisor-events.ts";

const filesTimeoutMs = 5_000;

/**
 * [SU6] Reads spool, transcript and journal. Files are taken for a new checkpoint only.
 *
 * @param hurrySignal aborted: the files are left out
 * @returns its id; null: nothing to save, a session that ended well, or a pause
 * @throws {StoreError} when the store cannot be written now
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
    // [RE60] First, since the checkpoint would hide the loss that the death record counts.
    recordDeath(sql, runtime, sessionId);
  });
  if (runtime.store.read((sql) => isSessionPaused(sql, runtime.now(), session), false)) return null;
  const saved = capture(runtime, { sessionId, trigger: "detached" });
  if (!saved.ok) return null;
  storeDurations(runtime);
  const limit = AbortSignal.any([hurrySignal, AbortSignal.timeout(filesTimeoutMs)]);
  if (saved.value.isNew) await takePending(runtime, [sessionId], limit);
  return saved.value.checkpoint.id;
}

export type AttestDeath = (
  chat: string,
  process: string,
) => Promise<Result<unknown, { readonly code: string; readonly message: string }>>;

interface ChatRow {
  readonly chat: string;
  readonly process: string;
}

/**
 * [SU10] Frees a dead chat's leases at once; attests only deaths visible from here.
 *
 * @returns the problem, for people; null: none
 */
async function attestDeath(runtime: Runtime, attest: AttestDeath, session: string): Promise<string | null> {
  const [row] = runtime.store.read(
    (sql) => sql.all<ChatRow>("SELECT chat, process FROM team_chats WHERE session_id = ?", session),
    [],
  );
  const process = row ? readProcessKey(row.process) : null;
  if (!row || !process || mayBeAlive(runtime.processes, process)) return null;
  const answer = await attest(row.chat, row.process);
  // A chat that the coordinator does not know holds nothing.
  if (answer.ok || answer.error.code === "unknown_chat") return null;
  return `the death of chat ${row.chat} could not be attested: ${answer.error.message}`;
}

export interface DeathRecorder {
  readonly runtime: Runtime;
  readonly attest: AttestDeath;
  readonly emit: (event: SupervisorEvent) => void;
}

/**
 * Saves the last checkpoint and attests the death; a failure of one does not stop the other.
 *
 * @returns the id of the checkpoint; null: none
 */
export async function recordDeathOf(
  { runtime, attest, emit }: DeathRecorder,
  session: string,
  hurrySignal: AbortSignal,
): Promise<string | null> {
  const report = (message: string): void => emit({ type: "problem", name: null, message });
  const tryOrReport = async (what: string, work: () => Promise<string | null>): Promise<string | null> => {
    try {
      return await work();
    } catch (error) {
      report(`${what}: ${messageOf(error)}`);
      return null;
    }
  };
  const checkpoint = await tryOrReport(`the last checkpoint of ${session}`, () =>
    saveLastCheckpoint(runtime, session, hurrySignal),
  );
  const problem = await tryOrReport(`the death of ${session}`, () => attestDeath(runtime, attest, session));
  if (problem !== null) report(problem);
  return checkpoint;
}
