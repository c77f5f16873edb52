import { err, ok, type Result } from "../../shared/result.ts";
import { predecessor } from "../checkpoints/handing-over.ts";
import { isPassing, type ChatLink, type Trouble } from "../link/chat-link.ts";
import * as journal from "../sessions/journal.ts";
import * as recoveries from "../sessions/recoveries.ts";
import { fetchCheckpoint } from "../sync/fetch-checkpoint.ts";
import * as remoteSessions from "../sync/remote-sessions.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";
import { age } from "./brief.ts";
import { askMs, type Reach } from "./remote-find.ts";
import { noteOf } from "./remote-notes.ts";
import { stateOf } from "./remote-restoration.ts";

type Line = Pick<ChatLink, "self" | "call">;

/** The chat that continues a session, as far as the coordinator knows. */
export interface Holder {
  readonly chat: string;
  readonly machine: string | null;
  readonly heldForMs: number;
}

export interface NotHeld extends Trouble {
  /** Null: the coordinator did not answer, or the holder left in the same moment. */
  readonly holder: Holder | null;
}

function leaseOf(session: string): string {
  return `session:${session}`;
}

/** A repeated request of a chat for a session gets the same grant, so that a lost answer does no harm. */
const requestId = "taken";

/** [RE23] The right to go on with a session: of all chats that ask one gets it, for as long as it lives. @returns its fencing token */
export async function hold(link: Line, session: string): Promise<Result<number, NotHeld>> {
  const resource = leaseOf(session);
  const answer = await link.call("leases.acquire", { resource, requestId, isBound: true }, askMs);
  if (answer.ok && answer.value.state === "granted") return ok(answer.value.lease.token);
  const trouble = answer.ok ? { code: "lease_held", message: "others wait for it" } : answer.error;
  const holder = isPassing(trouble) ? null : await holderOf(link, session);
  return err({ ...trouble, holder });
}

export async function holderOf(link: Pick<Line, "call">, session: string): Promise<Holder | null> {
  const resource = leaseOf(session);
  const listed = await link.call("leases.list", { prefix: resource, limit: 10 }, askMs);
  const lease = listed.ok ? listed.value.leases.find((one) => one.resource === resource) : undefined;
  if (!lease) return null;
  const chat = await link.call("chats.get", { chat: lease.holder }, askMs);
  return { chat: lease.holder, machine: chat.ok ? chat.value.machine : null, heldForMs: lease.heldForMs };
}

/**
 * [RE23] A chat of this machine continues a session of another one: it holds the lease, the mirror names it as the taker, and then it is stored
 * here. After an interruption anywhere in between a repetition completes it.
 *
 * @returns otherwise the holder, or why it is not known
 */
export async function takeOver(reach: Reach, row: RemoteSession): Promise<Result<null, Trouble>> {
  const { link, mirror, runtime } = reach;
  const held = await hold(link, row.session);
  if (!held.ok) return err(refusal(row, held.error));
  const { self } = link;
  if (!self)
    return err({
      code: "not_registered",
      message: "this chat is not registered in the workspace yet; call again in a moment",
    });
  const { device, session } = row;
  const taken = await mirror.call("sync.take", { self, device, session, token: held.value });
  if (!taken.ok) {
    if (!isPassing(taken.error)) await release(link, session, held.value);
    return err(unfinished(row, taken.error));
  }
  const newest = await fetchCheckpoint(mirror, row);
  const at = runtime.now();
  const heir = self.chat;
  const handed = predecessor({ session, state: stateOf(row, newest.ok ? newest.value : null) });
  runtime.store.write((sql) => {
    remoteSessions.setTaken(sql, row, { chat: heir, machine: reach.machine, at });
    const note = noteOf(sql, session);
    if (note?.action !== "taken" || note.by !== heir)
      recoveries.note(sql, { at, sessionId: session, action: "taken", by: heir });
    journal.append(sql, heir, at, `continues:${session}`, { kind: "continues", ...handed });
  });
  return ok(null);
}

export async function release(link: Line, session: string, token: number): Promise<void> {
  // Bound to the chat, it ends with it at the latest.
  await link.call("leases.release", { resource: leaseOf(session), token }, askMs);
}

function refusal({ session, machine }: RemoteSession, { code, message, holder }: NotHeld): Trouble {
  if (code !== "lease_held")
    return {
      code,
      message: `${session} was not taken, since the coordinator of the workspace did not answer (${message}). Nothing has changed; call again.`,
    };
  return { code: "held", message: heldWords(session, machine, holder) };
}

/** The refusal: which chat continues the session, since when, and what can be done. */
export function heldWords(session: string, machine: string, holder: Holder | null): string {
  if (holder === null) return `${session} was taken by another chat in this moment. Call again.`;
  if (holder.chat === session)
    return `${session} may still run on ${machine}: its own chat holds it. If it is dead, it is free within a minute; call again then.`;
  const where = holder.machine === null ? "" : ` on ${holder.machine}`;
  return `${session} is continued by chat ${holder.chat}${where}, for ${age(holder.heldForMs)}. If the user wants it here: \`shim resume --undo ${session}\` there, then again.`;
}

function unfinished({ session, machine }: RemoteSession, { code, message }: Trouble): Trouble {
  if (code === "unknown_key")
    return { code, message: `${session} is gone: it was forgotten on ${machine}, or is no longer kept.` };
  return { code, message: `${session} was not taken (${message}). Nothing is lost; call again.` };
}

/** Gives the session back, here and for the workspace. */
export async function giveBack(
  { runtime, mirror }: Pick<Reach, "runtime" | "mirror">,
  row: RemoteSession,
): Promise<Result<null, Trouble>> {
  const { device, session } = row;
  const given = await mirror.call("sync.give-back", { device, session });
  if (!given.ok && given.error.code !== "unknown_key") return given;
  runtime.store.write((sql) => {
    remoteSessions.setTaken(sql, row, null);
    recoveries.note(sql, { at: runtime.now(), sessionId: session, action: "undone" });
  });
  return ok(null);
}
