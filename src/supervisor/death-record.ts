import type { Host } from "../local-mcp/host/host.ts";
import type { Result } from "../shared/result.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { mayBeAlive } from "../platform/processes.ts";
import { readProcessKey } from "../coordinator-client/local/process-key.ts";
import { messageOf } from "../shared/error.ts";
import type { SupervisorEvent } from "./supervisor-events.ts";

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
  /** Operations of the machine: the store is only read here. */
  readonly call: Host["call"];
  readonly attest: AttestDeath;
  readonly emit: (event: SupervisorEvent) => void;
}

/** [SU6] @param hurrySignal aborted: files are left out, or not waited for */
async function saveLast(call: Host["call"], session: string, hurrySignal: AbortSignal): Promise<string | null> {
  const files = !hurrySignal.aborted;
  const saving = call("recovery.record-death", { session, files });
  const saved = await (files ? Promise.race([saving, aborted(hurrySignal)]) : saving);
  if (saved === null) return null;
  if (!saved.ok) throw new Error(saved.error.message);
  return saved.value.checkpoint;
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(null), { once: true }));
}

/**
 * Saves the last checkpoint and attests the death; a failure of one does not stop the other.
 *
 * @returns the id of the checkpoint; null: none
 */
export async function recordDeathOf(
  { runtime, call, attest, emit }: DeathRecorder,
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
  const checkpoint = await tryOrReport(`the last checkpoint of ${session}`, () => saveLast(call, session, hurrySignal));
  const problem = await tryOrReport(`the death of ${session}`, () => attestDeath(runtime, attest, session));
  if (problem !== null) report(problem);
  return checkpoint;
}
