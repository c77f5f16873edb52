import { hookClients } from "../../contract/clients.ts";

/** How the names begin that clients with hooks or plugins give in the handshake. */
const namesOfHookClients: readonly string[] = [...hookClients, "visual studio code"];

/**
 * [MC26] Whether the tools are all that SHIM sees of the client's chats (Claude Desktop, Cowork,
 * any other MCP client). Uncertain means no: what hooks see is not asked for twice.
 */
export function isWithoutHooks(env: NodeJS.ProcessEnv, clientName: string | null): boolean {
  if (clientName === null || env["CLAUDE_CODE_SESSION_ID"] !== undefined) return false;
  const name = clientName.toLowerCase();
  return !namesOfHookClients.some((one) => name.startsWith(one));
}
