import type { HookEvent } from "../../contract/hook-input.ts";
import type { Sql } from "../../shared/sql.ts";
import { isAlive, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as servers from "../sessions/servers.ts";

export function connectionWarning(
  sql: Sql,
  runtime: Runtime,
  event: HookEvent,
  client: ProcessIdentity | null,
  missedTools: number,
): string | null {
  return deadServer(sql, runtime, event, client) ?? missedWarning(event, missedTools);
}

/** [HO4] Shown once, with the next prompt, which also deletes the row of the dead process. */
function deadServer(sql: Sql, runtime: Runtime, event: HookEvent, client: ProcessIdentity | null): string | null {
  if (event !== "UserPromptSubmit" || !client || !isAlive(runtime.processes, client)) return null;
  const { dead, isServed } = servers.check(sql, runtime.processes, client);
  for (const server of dead) servers.unregister(sql, server);
  if (dead.length === 0 || isServed) return null;
  return "SHIM: its MCP process has died. Reconnect it with /mcp: until then its tools are gone, reserved files are not guarded, and tool calls are saved with your next prompt.";
}

/** [HO37] All tool events have arrived by the end of a turn. */
function missedWarning(event: HookEvent, missed: number): string | null {
  if (event !== "UserPromptSubmit" || missed === 0) return null;
  const calls = missed === 1 ? "One tool call" : `${missed} tool calls`;
  return `SHIM: ${calls} did not reach its MCP process; what the transcript tells of ${missed === 1 ? "it" : "them"} is saved now. If this comes again: /mcp shows the process.`;
}
