import { isAlive } from "../../platform/processes.ts";
import { recordSubagents } from "../../machine/transcripts/record-transcript.ts";
import { betweenTurns } from "./event-transcript.ts";
import type { IdentifiedEvent } from "./known-session.ts";
import type { IncomingEvent } from "./read-event.ts";

export const deadText =
  "SHIM: the MCP process has died. Reconnect it with /mcp: until then its tools are missing, reserved files and budgets are not guarded, and tool calls are saved with your next prompt.";

export interface FrontCheck {
  /** The client has lost its front, of which its user does not know yet. */
  readonly isFrontDead: boolean;
  /** Tool calls of sub-agents that no event has reported. */
  readonly missedBySubagents: number;
}

/** The loss is shown once, with a prompt. Reads transcripts of sub-agents where no timer does. */
export function checkFront({ sql, runtime, incoming, known: { client, row } }: IdentifiedEvent): FrontCheck {
  const { fronts, processes, now, config } = runtime;
  const { event, isLate = false } = incoming;
  if (!betweenTurns.has(event) || isLate || !client) return { isFrontDead: false, missedBySubagents: 0 };
  const options = { prices: config.usage.prices, isOver: false };
  const missedBySubagents = fronts.serves(client) || !row ? 0 : recordSubagents(sql, row, now(), options);
  const isShown = event === "UserPromptSubmit" && isAlive(processes, client);
  return { isFrontDead: isShown && fronts.takeLoss(client), missedBySubagents };
}

/** All tool events have arrived by the end of a turn. */
export function missedWarning({ event }: IncomingEvent, missed: number): string | null {
  if (event !== "UserPromptSubmit" || missed === 0) return null;
  const calls = missed === 1 ? "One tool call" : `${missed} tool calls`;
  return `SHIM: ${calls} did not reach the MCP process; what the transcript has of ${missed === 1 ? "it" : "them"} is saved now. If this happens again: /mcp shows the process.`;
}
