import { idOf } from "../../sessions/entries.ts";

/** By the beginning of the name that a client gives in the handshake. */
const variables: readonly (readonly [client: string, variable: string])[] = [
  ["copilot", "COPILOT_AGENT_SESSION_ID"],
  ["qwen", "QWEN_CODE_SESSION_ID"],
  ["gemini", "GEMINI_SESSION_ID"],
];

/**
 * [ID17] A client started from another's chat inherits that chat's variable, so the client's own
 * name decides which one counts.
 */
export function envSessionId(env: NodeJS.ProcessEnv, clientName: string | null): string | null {
  const variable = variables.find(([client]) => clientName?.startsWith(client))?.[1] ?? "CLAUDE_CODE_SESSION_ID";
  const given = env[variable];
  return given === undefined ? null : idOf(given);
}
