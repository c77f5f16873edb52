import type { Result } from "../shared/result.ts";
import { readProcessKey } from "../coordinator-client/local/process-key.ts";
import type { CallError } from "../coordinator-client/chat-link.ts";
import { mayBeAlive } from "../platform/processes.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** The coordinator of this machine, for deaths. */
export type AttestDeath = (chat: string, process: string) => Promise<Result<unknown, CallError>>;

interface ChatRow {
  readonly chat: string;
  readonly process: string;
}

/**
 * [SU10] Tells the coordinator that the process of a session's chat is gone, so that what the chat held is free at once. Only what can be seen from here
 * is attested: a process that lives, or runs in another container, is not.
 *
 * @returns what went wrong, for people; null: nothing
 */
export async function attestDeath(runtime: Runtime, attest: AttestDeath, session: string): Promise<string | null> {
  const [row] = runtime.store.read(
    (sql) => sql.all<ChatRow>("SELECT chat, process FROM team_chats WHERE session_id = ?", session),
    [],
  );
  const process = row ? readProcessKey(row.process) : null;
  if (!row || !process || mayBeAlive(runtime.processes, process)) return null;
  const answer = await attest(row.chat, row.process);
  // A chat that is not known there any more holds nothing.
  if (answer.ok || answer.error.code === "unknown_chat") return null;
  return `the death of chat ${row.chat} could not be attested: ${answer.error.message}`;
}
