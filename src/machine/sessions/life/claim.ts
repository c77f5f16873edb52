import type { Failure } from "../../../contract/errors.ts";
import { age } from "../../../shared/format.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import type { Sql } from "../../../shared/sql.ts";
import * as news from "../news.ts";
import * as recoveries from "../recoveries.ts";
import type { Claim, RecoveryNote } from "../recoveries.ts";
import * as sessions from "../sessions.ts";
import { isDead, mayRun, type Machine } from "./presence.ts";

/**
 * The newest decision about a session, of this machine or of another, says which chat has it. It is
 * checked as it is made, and never judged again; no other file gives a session away.
 */

/** A chat that is started for an offer appears within this time. */
const maxStartMs = 60_000;

/** An offer, or a take without work, lapses with its chat, or if that never begins: null. */
export function claim(sql: Sql, machine: Machine, session: string): Claim | null {
  const known = recoveries.claimOf(sql, session);
  const isLasting = known?.is === "recovered" || known?.is === "dismissed";
  return known && (isLasting || isHeld(sql, machine, known)) ? known : null;
}

/** Whether the chat of a claim lives, or may still begin. */
function isHeld(sql: Sql, machine: Machine, { by, at }: Claim): boolean {
  if (by === null) return false;
  const chat = sessions.get(sql, by);
  const isOver = chat ? chat.ending?.how === "ended" || isDead(machine, chat) : machine.now() - at > maxStartMs;
  return !isOver;
}

/** The chat that continues it, by a claim that has not lapsed. */
export function continues(known: Claim | null): known is Claim & { readonly by: string } {
  return (known?.is === "taken" || known?.is === "recovered") && known.by !== null;
}

/** An offer alone continues nothing; a claim that has lapsed counts here. */
export function isContinuedBy(sql: Sql, session: string, chat: string): boolean {
  const newest = recoveries.claimOf(sql, session);
  return continues(newest) && newest.by === chat;
}

/** A living chat has the session in its context, as an offer or as work that it has not begun. */
export interface Holder {
  readonly chat: string;
  /** Epoch ms. */
  readonly at: number;
}

export function holderOf(sql: Sql, machine: Machine, session: string): Holder | null {
  const known = claim(sql, machine, session);
  const isOpen = known?.is === "offered" || known?.is === "taken";
  return isOpen && known.by !== null ? { chat: known.by, at: known.at } : null;
}

/** Why no program starts the session again by itself; null: it may. */
export function whyNotRestart(sql: Sql, machine: Machine, session: sessions.Session): RestartObstacle | null {
  const { id, ending, owner } = session;
  if (ending?.how === "ended") return { isOver: true, why: `session ${id} has ended` };
  const known = recoveries.claimOf(sql, id);
  if (known?.is === "recovered") return { isOver: true, why: `session ${known.by} continues it` };
  if (known?.is === "dismissed") return { isOver: true, why: `session ${id} was dismissed` };
  return mayRun(machine, session)
    ? { isOver: false, why: `session ${id} is already running (pid ${owner?.pid})` }
    : null;
}

interface RestartObstacle {
  /** Whether nothing is left to do. */
  readonly isOver: boolean;
  readonly why: string;
}

interface Decision extends Omit<RecoveryNote, "at"> {
  readonly action: Claim["is"] | "undone";
  /** The workspace has given the session to the chat, and decides for all machines. */
  readonly isGranted?: boolean;
}

/**
 * Decides about a session, once: the check and the note are of one transaction. A session that a
 * chat continues is given to no other one, and one that a living chat was offered is offered to no
 * other; a chat that had it gets a notice when another one takes it.
 *
 * @returns false where this was decided before, or there is nothing to undo
 */
export function decide(sql: Sql, machine: Machine, { isGranted = false, ...decision }: Decision): Result<boolean> {
  const { session, action, by = null } = decision;
  if (isKnown(recoveries.claimOf(sql, session), action, by)) return ok(false);
  const open = claim(sql, machine, session);
  const other = open?.by === by ? null : open;
  if (other !== null && !isGranted && isRefused(sql, machine, other, action)) return err(refusal(session, other));
  const at = machine.now();
  if (action === "taken" && typeof other?.by === "string") {
    const text = `Session ${session}, which this chat was offered, is continued by chat ${by} now: leave it alone.`;
    news.add(sql, at, other.by, `taken:${session}:${by}`, { kind: "notice", text });
  }
  recoveries.add(sql, { ...decision, at });
  if (action === "taken" && by !== null) sessions.inheritTitle(sql, by, session);
  return ok(true);
}

const ranks: readonly string[] = ["offered", "taken", "recovered"];

/** A chat that has a session is not offered it again. */
function isKnown(before: Claim | null, action: Decision["action"], by: string | null): boolean {
  if (before === null) return action === "undone";
  const isLess = ranks.includes(action) && ranks.indexOf(before.is) >= ranks.indexOf(action);
  return before.by === by && (before.is === action || isLess);
}

function isRefused(sql: Sql, machine: Machine, other: Claim, action: Decision["action"]): boolean {
  return action === "offered" || (action === "taken" && continues(other) && isHeld(sql, machine, other));
}

function refusal(session: string, other: Claim): Failure {
  const how = continues(other)
    ? successorText(session, { chat: other.by, machine: null, isHere: true })
    : `was ${other.is}${other.by === null ? "" : ` to chat ${other.by}`}.`;
  return { code: "held", message: `${session} ${how}` };
}

export interface Successor {
  readonly chat: string;
  /** Null if its machine is not known. */
  readonly machine: string | null;
  readonly heldForMs?: number;
  /** On this machine: the user can take it back here. */
  readonly isHere?: true;
}

export function successorText(session: string, { chat, machine, heldForMs, isHere }: Successor): string {
  const where = machine === null ? "" : ` on ${machine}`;
  const since = heldForMs === undefined ? "" : `, for ${age(heldForMs)}`;
  return `is continued by chat ${chat}${where}${since}. If the user wants it here: \`shim resume --undo ${session}\`${isHere ? "" : " there"}, then again.`;
}
