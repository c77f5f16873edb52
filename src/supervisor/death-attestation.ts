import type { Result } from "../shared/result.ts";
import { readProcessKey } from "../coordinator-client/local/process-key.ts";
import { mayBeAlive } from "../platform/processes.ts";
import type { Runtime } from "../runtime/runtime.ts";

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
export async function attestDeath(runtime: Runtime, attest: AttestDeath, session: string): Promise<string | null> {
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
