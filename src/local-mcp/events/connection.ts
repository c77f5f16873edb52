import { isAlive } from "../../platform/processes.ts";
import type { IncomingEvent } from "./read-event.ts";
import type { Recording } from "./record-event.ts";

const deadText =
  "SHIM: the MCP process has died. Reconnect it with /mcp: until then its tools are missing, reserved files and budgets are not guarded, and tool calls are saved with your next prompt.";

/** Shown once, with the next prompt. */
export function connectionWarning({ runtime, incoming, known: { client } }: Recording): string | null {
  const isPrompt = incoming.event === "UserPromptSubmit" && !incoming.isLate;
  if (!isPrompt || !client || !isAlive(runtime.processes, client)) return null;
  return runtime.fronts.takeLoss(client) ? deadText : null;
}

/** All tool events have arrived by the end of a turn. */
export function missedWarning({ event }: IncomingEvent, missed: number): string | null {
  if (event !== "UserPromptSubmit" || missed === 0) return null;
  const calls = missed === 1 ? "One tool call" : `${missed} tool calls`;
  return `SHIM: ${calls} did not reach the MCP process; what the transcript has of ${missed === 1 ? "it" : "them"} is saved now. If this happens again: /mcp shows the process.`;
}
