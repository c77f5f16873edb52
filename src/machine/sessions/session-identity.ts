import * as z from "zod";
import type { ClientAdapter } from "../../clients/adapter/client-adapter.ts";
import { supportedClients } from "../../clients/adapters.ts";
import { shortIdAmong } from "../../contract/short-id.ts";
import { isAlive, isSameProcess, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { quotedTitle } from "../../shared/format.ts";
import { uuidv7 } from "../../shared/ids.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { idOf } from "./entries.ts";
import { type Session, displayTitle, byPrefix, get } from "./sessions.ts";

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
  const given = env[inHandshake(clientName)?.variables.session ?? "CLAUDE_CODE_SESSION_ID"];
  return given === undefined ? null : idOf(given);
}

const NamedSession = z.object({ sessionId: z.string() });

/** The session in which a client with threads makes a call. @param meta of the request */
export function sessionInCall(meta: unknown, clientName: string | null): string | null {
  const named = threadsOf(clientName) === null ? undefined : NamedSession.safeParse(meta).data;
  return named ? idOf(named.sessionId) : null;
}

/** @returns null: one process of the client works in one session at a time */
export function threadsOf(clientName: string | null): ClientAdapter["threads"] | null {
  return inHandshake(clientName)?.threads ?? null;
}

/** In a handshake a client's name may go on. */
export function inHandshake(clientName: string | null): ClientAdapter | undefined {
  return supportedClients.find(({ name }) => clientName?.startsWith(name));
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

/** Unique among all sessions of this machine, and those of others that it mirrors. */
export function shortSessionId(sql: Sql, id: string): string {
  const mirrored = neighbours(sql, "sessions_elsewhere", id);
  return shortIdAmong(id, [...neighbours(sql, "sessions", id), ...mirrored]);
}

/** A session of this machine as people name it; null: it has no title, or is stored no more. */
export function shownNames(sql: Sql, id: string): { readonly shortId: string; readonly title: string | null } {
  const session = get(sql, id);
  return { shortId: shortSessionId(sql, id), title: session && displayTitle(session) };
}

export function shortCheckpointId(sql: Sql, id: string): string {
  return shortIdAmong(id, neighbours(sql, "checkpoints", id));
}

/** Neighbours in id order share the longest common prefix. */
function neighbours(sql: Sql, table: "sessions" | "checkpoints" | "sessions_elsewhere", id: string): string[] {
  const before = `SELECT id FROM ${table} WHERE id < ? ORDER BY id DESC LIMIT 1`;
  const after = `SELECT id FROM ${table} WHERE id > ? ORDER BY id LIMIT 1`;
  return [before, after].flatMap((query) => sql.all<{ id: string }>(query, id)).map((row) => row.id);
}

const minPrefixChars = 4;
const maxCandidates = 5;

/**
 * Finds a session by id or unique beginning (at least 4 characters: a typo of one or two
 * must not name another session); `ses_` is optional.
 *
 * @returns null if this machine has no such session
 */
export function findSessionArgument(sql: Sql, given: string): Result<Session | null> {
  const exact = get(sql, given);
  if (exact || given.replace(/^ses_/, "").length < minPrefixChars) return ok(exact);
  const direct = byPrefix(sql, given, maxCandidates);
  const candidates = direct.length > 0 ? direct : byPrefix(sql, `ses_${given}`, maxCandidates);
  if (candidates.length < 2) return ok(candidates[0] ?? null);
  const lines = candidates.map((one) => {
    return `${shortSessionId(sql, one.id)} (${quotedTitle(displayTitle(one))})`;
  });
  const message = `"${given}" matches several sessions: ${lines.join(", ")}. Give more of the id.`;
  return fail("ambiguous_session", message);
}

export function findStoredSession({ store }: Pick<Runtime, "store">, given: string): Result<Session | null> {
  return store.read<Result<Session | null>>((sql) => findSessionArgument(sql, given), ok(null));
}
