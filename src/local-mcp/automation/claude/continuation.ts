import { realpathSync } from "node:fs";
import * as z from "zod";
import type { ClaimedTask } from "../../../contract/tasks.ts";
import type { Json } from "../../../contract/values.ts";
import { codeOf } from "../../../shared/error.ts";
import { uuidv7 } from "../../../shared/ids.ts";
import { drainInto } from "../../hooks/spool-hook.ts";
import { mayBeAlive } from "../../processes.ts";
import { brief } from "../../recovery/brief.ts";
import { take } from "../../recovery/recover.ts";
import { restore, type Restoration } from "../../recovery/restoration.ts";
import { checkTranscript, withdrawOffer } from "../../recovery/start.ts";
import { firstWords } from "../../../contract/task-prompt.ts";
import type { Runtime } from "../../runtime.ts";
import { catchUp } from "../../sessions/catch-up.ts";
import * as sessions from "../../sessions/sessions.ts";
import { StoreError } from "../../store/store-error.ts";

/** How an attempt begins: in the session of the one before, in a new one that gets its brief, or in a new one that knows nothing of it. */
export type Continuation =
  | { readonly kind: "resume"; readonly session: string }
  | { readonly kind: "brief"; readonly session: string; readonly from: Restoration; readonly reason: string }
  | { readonly kind: "new"; readonly session: string };

/** Becomes an argument of a program, and comes from the chat that had the task before. */
const SessionId = z.uuid();
const Kept = z.object({
  claude: z.object({ session: SessionId, folder: z.string().max(4_096), isFull: z.boolean().default(false) }),
});

/** [CX4] What the next attempt needs. `isFull`: the session takes no further request. */
export function checkpointOf(session: string, folder: string, isFull = false): Readonly<Record<string, Json>> {
  return { claude: { session, folder, ...(isFull ? { isFull } : {}) } };
}

/**
 * [CX4] The session of the attempt before goes on where its transcript is whole, on this machine, of this folder, and nobody runs it. Else [CX5] what SHIM has kept of it
 * goes into a new one; where this machine knows nothing of it, the task's own progress and checkpoint have to do.
 */
export function continuationOf(runtime: Runtime, task: ClaimedTask, folder: string): Continuation {
  const session = uuidv7(runtime.now(), runtime.random(16));
  const before = attemptBefore(runtime, task);
  if (!before) return { kind: "new", session };
  const { from, isFull } = before;
  const reason = isFull ? "it takes no further request" : hindrance(runtime, from.session, folder);
  return reason === null ? { kind: "resume", session: from.session.id } : { kind: "brief", session, from, reason };
}

/** A checkpoint is what another worker has said: chats of people, and of other tasks, are not handed out to it. */
function attemptBefore(
  runtime: Runtime,
  task: ClaimedTask,
): { readonly from: Restoration; readonly isFull: boolean } | null {
  const kept = Kept.safeParse(task.checkpoint).data?.claude;
  const from = kept ? restored(runtime, kept.session) : null;
  const isOwn = from?.state.firstPrompt?.startsWith(firstWords(task)) === true;
  return kept && from && isOwn ? { from, isFull: kept.isFull } : null;
}

function restored(runtime: Runtime, id: string): Restoration | null {
  const now = runtime.now();
  ifStored(runtime, () => {
    drainInto(runtime);
    runtime.store.write((sql) => {
      if (sessions.get(sql, id)) catchUp(sql, now, id);
    });
  });
  const session = runtime.store.read((sql) => sessions.get(sql, id), null);
  return session && restore(runtime, session, now);
}

function hindrance(runtime: Runtime, session: sessions.Session, folder: string): string | null {
  if (session.owner && mayBeAlive(runtime.processes, session.owner)) return "it is still running";
  if (session.cwd === null || wholePath(session.cwd) !== wholePath(folder)) return "it worked in another folder";
  const transcript = checkTranscript(session.transcriptPath, session.id);
  return transcript.isWhole ? null : transcript.reason;
}

function wholePath(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (codeOf(error) === null) throw error;
    return path;
  }
}

/** The text that a new session begins with. */
export function briefOf(runtime: Runtime, from: Restoration): string {
  return brief(from, runtime.now(), "resume");
}

/** The new session is the one that goes on with the old one: no other chat is offered it. @returns ends that where the new one never began */
export function takeOver(runtime: Runtime, next: Continuation): () => void {
  if (next.kind !== "brief") return () => undefined;
  const { from, session } = next;
  ifStored(runtime, () => take(runtime, from, session));
  return () => ifStored(runtime, () => withdrawOffer(runtime, from.session.id, session));
}

/** A store that takes nothing now is no reason to leave the task undone. */
function ifStored(runtime: Runtime, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    runtime.log("warn", "worker: the session before is not brought up to date", { reason: error.message });
  }
}
