import type { Held } from "../../contract/machine/handover.ts";
import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";

/** Things that chats of handed-over sessions held. Hooks read them: there is no schema. */

function keyOf(session: string): string {
  return `held:${session}`;
}

function givenKey(session: string): string {
  return `handed:${session}`;
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

/** For the brief of the chat that continues the session here. @param held absent: nothing */
export function receive(sql: Sql, session: string, held: Held | undefined): void {
  if (held) meta.write(sql, keyOf(session), JSON.stringify(held));
  else forget(sql, session);
}

/** @returns null: it held nothing */
export function read(sql: Sql, session: string): Held | null {
  const text = meta.read(sql, keyOf(session));
  return text === null ? null : (JSON.parse(text) as Held);
}

export function forget(sql: Sql, session: string): void {
  meta.remove(sql, keyOf(session));
}
