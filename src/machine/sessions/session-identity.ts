import * as z from "zod";
import { adapterOf, supportedClients } from "../../clients/adapters.ts";
import { isAlive, isSameProcess, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { uuidv7 } from "../../shared/ids.ts";
import { idOf } from "./entries.ts";
import type { Session } from "./sessions.ts";

/** Names of the session of an event or a call: the environment, the call, or a new id. */

/** For a session that no client names. */
export function newSessionId({ now, random }: Pick<Runtime, "now" | "random">): string {
  return `ses_${uuidv7(now(), random(16))}`;
}

/**
 * A client started from another's chat inherits that chat's variable, so the client's own name
 * decides which one counts: the handshake has it, or a name that begins with it.
 */
export function sessionInEnv(env: NodeJS.ProcessEnv, clientName: string | null): string | null {
  const own = supportedClients.find(({ name, variables }) => variables.session && clientName?.startsWith(name));
  const given = env[own?.variables.session ?? "CLAUDE_CODE_SESSION_ID"];
  return given === undefined ? null : idOf(given);
}

const NamedSession = z.object({ sessionId: z.string() });

/** The session in which a client with threads makes a call. @param meta of the request */
export function sessionInCall(meta: unknown, clientName: string | null): string | null {
  const named = hasThreads(clientName) ? NamedSession.safeParse(meta).data : undefined;
  return named ? idOf(named.sessionId) : null;
}

/** @param clientName of the handshake: whether one process of it works in several sessions */
export function hasThreads(clientName: string | null): boolean {
  return clientName !== null && adapterOf(clientName.replace(/-mcp-client$/, ""))?.hasThreads === true;
}

/**
 * Whether another living client owns the session.
 *
 * @param own processes that count as the caller's
 */
export function isHeldByAnother(
  { processes }: Pick<Runtime, "processes">,
  session: Session | null,
  own: readonly (ProcessIdentity | null)[],
): boolean {
  const owner = session?.owner ?? null;
  return owner !== null && !own.some((one) => isSameProcess(one, owner)) && isAlive(processes, owner);
}
