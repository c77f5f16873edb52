import * as z from "zod";
import { adapterOf } from "../../clients/adapters.ts";
import { sessionVariables } from "../../clients/hook-variables.ts";
import { idOf } from "../sessions/entries.ts";

/**
 * [ID17] A client started from another's chat inherits that chat's variable, so the client's own
 * name decides which one counts: the handshake has it, or a name that begins with it.
 */
export function envSessionId(env: NodeJS.ProcessEnv, clientName: string | null): string | null {
  const own = sessionVariables.find(([client]) => clientName?.startsWith(client));
  const given = env[own?.[1] ?? "CLAUDE_CODE_SESSION_ID"];
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
