import { isAlive, type ProcessIdentity } from "../../platform/processes.ts";
import { isWithin } from "../../shared/elapsed.ts";
import * as meta from "../../store/meta.ts";
import { digest } from "../sessions/entries.ts";
import { entriesOf } from "../sessions/hook-entries.ts";
import * as servers from "../sessions/servers.ts";
import { isProjectGuarded } from "../team/file-guard.ts";
import * as spending from "../usage/task-spending.ts";
import type { IncomingEvent } from "./read-event.ts";
import type { Recording } from "./record-event.ts";

/** Whether the client's MCP process is there when the user sends a prompt. */
type Connection =
  | { readonly kind: "fine" }
  | { readonly kind: "dead"; readonly warning: string }
  | { readonly kind: "refused"; readonly reason: string };

const fine: Connection = { kind: "fine" };
const dead: Connection = {
  kind: "dead",
  warning:
    "SHIM: the MCP process has died. Reconnect it with /mcp: until then its tools are missing, reserved files are not guarded, and tool calls are saved with your next prompt.",
};

/** [HO4] Shown once, with the next prompt, which also deletes the row of the dead process. */
export function checkConnection(recording: Recording): Connection {
  const { sql, runtime, incoming, known } = recording;
  const { client } = known;
  const isPrompt = incoming.event === "UserPromptSubmit" && !incoming.isLate;
  if (!isPrompt || !client || !isAlive(runtime.processes, client)) return fine;
  const status = servers.check(sql, runtime.processes, client);
  if (status.dead.length === 0) return fine;
  const connection = status.isServed ? fine : judgePrompt(recording, client, status.dead);
  if (status.isServed || connection.kind === "dead") {
    meta.remove(sql, servers.refusedPromptKey(client));
    for (const server of status.dead) servers.unregister(sql, server);
  }
  return connection;
}

function judgePrompt(
  recording: Recording,
  client: ProcessIdentity,
  deadServers: readonly ProcessIdentity[],
): Connection {
  const { event, input } = recording.incoming;
  if (!isUnguarded(recording, deadServers)) return dead;
  // [HO64] The client's own prompt, such as the end of a background task, is not repeated.
  if (entriesOf(event, input, "").length === 0) return fine;
  return isRepeated(recording, client) ? dead : { kind: "refused", reason: refusal(recording) };
}

/**
 * [HO63] Whether the dead process alone could refuse a tool call. The terminal client never
 * starts it again, every other one does at its next event.
 */
function isUnguarded({ sql, runtime, known, session }: Recording, deadServers: readonly ProcessIdentity[]): boolean {
  const { env, processes, config } = runtime;
  if (env["CLAUDE_CODE_ENTRYPOINT"] !== "cli") return false;
  if (!deadServers.some((server) => servers.takesEvents(sql, server))) return false;
  if (spending.isLimited(sql, session.id)) return true;
  const guard = { processes, session: session.id, isStrict: config.team.strictFiles };
  return config.team.isEnabled && known.project !== null && isProjectGuarded(sql, guard, known.project);
}

const repeatWithinMs = 600_000;

/** [HO64] The user has read the reason, and sends the same prompt to continue without a guard. */
function isRepeated({ sql, runtime, incoming }: Recording, client: ProcessIdentity): boolean {
  const now = runtime.now();
  const stamp = digest((incoming.input.prompt ?? "").trim());
  const [at, refused] = meta.read(sql, servers.refusedPromptKey(client))?.split(" ") ?? [];
  if (refused === stamp && isWithin(now - Number(at), repeatWithinMs)) return true;
  meta.write(sql, servers.refusedPromptKey(client), `${now} ${stamp}`);
  return false;
}

function refusal({ runtime: { env } }: Recording): string {
  const server = env["CLAUDE_PLUGIN_ROOT"] === undefined ? "shim" : "plugin:shim:shim";
  return `SHIM: its MCP process has died, so that neither files that other chats have reserved nor the budget of the task are guarded. Clear the line, run /mcp reconnect ${server}, and send the prompt again. To continue without a guard, send the same prompt within ten minutes.`;
}

/** [HO37] All tool events have arrived by the end of a turn. */
export function promptWarning(connection: Connection, { event }: IncomingEvent, missed: number): string | null {
  if (event !== "UserPromptSubmit") return null;
  if (connection.kind === "dead") return connection.warning;
  if (missed === 0) return null;
  const calls = missed === 1 ? "One tool call" : `${missed} tool calls`;
  return `SHIM: ${calls} did not reach the MCP process; what the transcript has of ${missed === 1 ? "it" : "them"} is saved now. If this happens again: /mcp shows the process.`;
}
