import * as z from "zod";
import { adapterOf } from "../../../clients/adapters.ts";
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

const NamedSession = z.object({ sessionId: z.string() });

/** @param clientName of the handshake: whether one process of it works in several sessions */
export function hasThreads(clientName: string | null): boolean {
  return clientName !== null && adapterOf(clientName.replace(/-mcp-client$/, ""))?.hasThreads === true;
}

/** [ID19] The session in which a client with threads makes a call. @param meta of the request */
export function namedSession(meta: unknown, clientName: string | null): string | null {
  const named = hasThreads(clientName) ? NamedSession.safeParse(meta).data : undefined;
  return named ? idOf(named.sessionId) : null;
}
