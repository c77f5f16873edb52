import { textAt, type JsonObject } from "../../shared/json-fields.ts";

/** A sub-agent that its tool has left in the background. */
const running = /^<task [^>\n]{1,300}\bstate="running"/;

/** Result of OpenCode's tool `task` in Claude Code's words; `agentId`: session of the sub-agent. */
export function subagentResult(output: unknown, metadata: JsonObject | null): JsonObject {
  const id = textAt(metadata, "sessionId", 200);
  if (typeof output !== "string" || running.test(output)) return {};
  return { output, ...(id === null ? {} : { agentId: id }) };
}
