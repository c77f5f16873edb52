import type { Held, HeldGoesTo } from "../../contract/machine/handover.ts";
import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";

/** Things that chats of handed-over sessions held. Hooks read them: there is no schema. */

export interface HeldByChat extends Held {
  /** Unique among all coordinators; null: the chat does not learn who takes the session. */
  readonly workspace: string | null;
}

export interface ReceivedHeld extends HeldByChat {
  readonly goesTo: HeldGoesTo;
  /** Epoch ms; then nothing more is taken. */
  readonly until: number;
}

interface ReceivedFacts {
  readonly session: string;
  readonly held: HeldByChat | undefined;
  /** Workspace of this machine, named like that of `HeldByChat`; null: none. */
  readonly workspace: string | null;
  readonly now: number;
}

const name = "held";
const givenName = "handed";
const receivedForMs = 86_400_000;

function keyOf(session: string): string {
  return `${name}:${session}`;
}

function givenKey(session: string): string {
  return `${givenName}:${session}`;
}

/** The chat of a session that was taken gives back all that it holds, once it is in the team. */
export function markTaken(sql: Sql, session: string): void {
  meta.write(sql, givenKey(session), "");
}

export function isToGiveBack(sql: Sql, session: string): boolean {
  return meta.read(sql, givenKey(session)) !== null;
}

export function markGivenBack(sql: Sql, session: string): void {
  meta.remove(sql, givenKey(session));
}

/** For the chat that continues the session here, and for its brief. */
export function receive(sql: Sql, { session, held, workspace, now }: ReceivedFacts): void {
  if (!held) return forget(sql, session);
  const goesTo = held.workspace === null ? "giver" : held.workspace === workspace ? "taker" : "others";
  replace(sql, session, { ...held, goesTo, until: now + receivedForMs });
}

export function replace(sql: Sql, session: string, received: ReceivedHeld): void {
  meta.write(sql, keyOf(session), JSON.stringify(received));
}

/** Returns null if it held nothing, or the chat that continues it has that. */
export function read(sql: Sql, session: string): ReceivedHeld | null {
  const text = meta.read(sql, keyOf(session));
  return text === null ? null : (JSON.parse(text) as ReceivedHeld);
}

export function list(sql: Sql): { readonly session: string; readonly received: ReceivedHeld }[] {
  return meta.listOf(sql, name).map(({ key, value }) => {
    return { session: key.slice(name.length + 1), received: JSON.parse(value) as ReceivedHeld };
  });
}

export function forget(sql: Sql, session: string): void {
  meta.remove(sql, keyOf(session));
}
