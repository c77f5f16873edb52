import { err, ok, type Result } from "../../shared/result.ts";
import { toPredecessor } from "../checkpoints/succession.ts";
import { isTransient, type ChatLink, type CallError } from "../../coordinator-client/chat-link.ts";
import * as journal from "../sessions/journal.ts";
import * as recoveries from "../sessions/recoveries.ts";
import { fetchCheckpoint } from "../sync/fetch-checkpoint.ts";
import * as remoteSessions from "../sync/remote-sessions.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";
import { age } from "../../shared/format.ts";
import { callTimeoutMs, type RemoteContext } from "./remote-candidates.ts";
import { noteOf } from "./remote-notes.ts";
import { stateOf } from "./remote-restoration.ts";

type LeaseLink = Pick<ChatLink, "self" | "call">;

export interface SessionHolder {
  readonly chat: string;
  readonly machine: string | null;
  readonly heldForMs: number;
}

export interface LeaseRefusal extends CallError {
  /** Null if the coordinator did not answer, or the holder left in the same moment. */
  readonly holder: SessionHolder | null;
}

function leaseName(session: string): string {
  return `session:${session}`;
}

/** A repeated request gets the same grant, so that a lost answer does no harm. */
const requestId = "taken";

/** [RE23] Grants the lease to one chat for as long as it lives. Returns the fencing token. */
export async function acquireLease(link: LeaseLink, session: string): Promise<Result<number, LeaseRefusal>> {
  const resource = leaseName(session);
  const answer = await link.call("leases.acquire", { resource, requestId, isBound: true }, callTimeoutMs);
  if (answer.ok && answer.value.state === "granted") return ok(answer.value.lease.token);
  const problem = answer.ok ? { code: "lease_held", message: "others wait for it" } : answer.error;
  const holder = isTransient(problem) ? null : await fetchHolder(link, session);
  return err({ ...problem, holder });
}

export async function fetchHolder(link: Pick<LeaseLink, "call">, session: string): Promise<SessionHolder | null> {
  const resource = leaseName(session);
  const leases = await link.call("leases.list", { prefix: resource, limit: 10 }, callTimeoutMs);
  const lease = leases.ok ? leases.value.leases.find((one) => one.resource === resource) : undefined;
  if (!lease) return null;
  const chat = await link.call("chats.get", { chat: lease.holder }, callTimeoutMs);
  return { chat: lease.holder, machine: chat.ok ? chat.value.machine : null, heldForMs: lease.heldForMs };
}

/** [RE23] A repetition completes an interrupted takeover. */
export async function takeOver(context: RemoteContext, row: RemoteSession): Promise<Result<null, CallError>> {
  const { link, mirror, runtime } = context;
  const lease = await acquireLease(link, row.session);
  if (!lease.ok) return err(toRefusal(row, lease.error));
  const { self } = link;
  if (!self)
    return err({
      code: "not_registered",
      message: "this chat is not registered in the workspace yet; call again in a moment",
    });
  const { device, session } = row;
  const takeResult = await mirror.call("sync.take", { self, device, session, token: lease.value });
  if (!takeResult.ok) {
    if (!isTransient(takeResult.error)) await releaseLease(link, session, lease.value);
    return err(toUnfinished(row, takeResult.error));
  }
  const newest = await fetchCheckpoint(mirror, row);
  const at = runtime.now();
  const successor = self.chat;
  const inheritedWork = toPredecessor({ session, state: stateOf(row, newest.ok ? newest.value : null) });
  runtime.store.write((sql) => {
    remoteSessions.setTakeover(sql, row, { chat: successor, machine: context.machine, at });
    const note = noteOf(sql, session);
    if (note?.action !== "taken" || note.by !== successor)
      recoveries.add(sql, { at, sessionId: session, action: "taken", by: successor });
    journal.append(sql, successor, at, `continues:${session}`, { kind: "continues", ...inheritedWork });
  });
  return ok(null);
}

export async function releaseLease(link: LeaseLink, session: string, token: number): Promise<void> {
  // Bound to the chat, the lease ends with it at the latest.
  await link.call("leases.release", { resource: leaseName(session), token }, callTimeoutMs);
}

function toRefusal({ session, machine }: RemoteSession, { code, message, holder }: LeaseRefusal): CallError {
  if (code !== "lease_held")
    return {
      code,
      message: `${session} was not taken, since the coordinator of the workspace did not answer (${message}). Nothing has changed; call again.`,
    };
  return { code: "held", message: heldMessage(session, machine, holder) };
}

export function heldMessage(session: string, machine: string, holder: SessionHolder | null): string {
  if (holder === null) return `${session} was taken by another chat in this moment. Call again.`;
  if (holder.chat === session)
    return `${session} may still run on ${machine}: its own chat holds it. If it is dead, it is free within a minute; call again then.`;
  const where = holder.machine === null ? "" : ` on ${holder.machine}`;
  return `${session} is continued by chat ${holder.chat}${where}, for ${age(holder.heldForMs)}. If the user wants it here: \`shim resume --undo ${session}\` there, then again.`;
}

function toUnfinished({ session, machine }: RemoteSession, { code, message }: CallError): CallError {
  if (code === "unknown_key")
    return { code, message: `${session} is gone: it was forgotten on ${machine}, or is no longer kept.` };
  return { code, message: `${session} was not taken (${message}). Nothing is lost; call again.` };
}

export async function releaseSession(
  { runtime, mirror }: Pick<RemoteContext, "runtime" | "mirror">,
  row: RemoteSession,
): Promise<Result<null, CallError>> {
  const { device, session } = row;
  const given = await mirror.call("sync.give-back", { device, session });
  if (!given.ok && given.error.code !== "unknown_key") return given;
  runtime.store.write((sql) => {
    remoteSessions.setTakeover(sql, row, null);
    recoveries.add(sql, { at: runtime.now(), sessionId: session, action: "undone" });
  });
  return ok(null);
}
