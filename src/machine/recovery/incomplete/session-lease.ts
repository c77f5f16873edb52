import { isTransient, type Failure } from "../../../contract/errors.ts";
import type { CoordinatorClient } from "../../../coordinator-client/client.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { successorText, type Successor } from "../../sessions/life/claim.ts";

type LeaseLink = Pick<CoordinatorClient, "self" | "call">;

export interface LeaseRefusal extends Failure {
  /** Null if the coordinator did not answer, or the holder left in the same moment. */
  readonly holder: Successor | null;
}

export const callTimeoutMs = 5_000;

function leaseName(session: string): string {
  return `session:${session}`;
}

/**
 * Grants the lease to one chat for as long as it lives.
 *
 * @param requestId a repeated request gets the same grant, so that a lost answer does no harm
 * @returns the fencing token
 */
export async function acquireLease(
  link: LeaseLink,
  session: string,
  requestId = "taken",
): Promise<Result<number, LeaseRefusal>> {
  const resource = leaseName(session);
  const answer = await link.call("leases.acquire", { resource, requestId, isBound: true }, callTimeoutMs);
  if (answer.ok && answer.value.state === "granted") return ok(answer.value.lease.token);
  const problem: Failure = answer.ok ? { code: "lease_held", message: "others are waiting for it" } : answer.error;
  const holder = isTransient(problem) ? null : await fetchHolder(link, session);
  return err({ ...problem, holder });
}

export async function fetchHolder(link: Pick<LeaseLink, "call">, session: string): Promise<Successor | null> {
  const resource = leaseName(session);
  const leases = await link.call("leases.list", { prefix: resource, limit: 10 }, callTimeoutMs);
  const lease = leases.ok ? leases.value.leases.find((one) => one.resource === resource) : undefined;
  if (!lease) return null;
  const chat = await link.call("chats.get", { chat: lease.holder }, callTimeoutMs);
  return { chat: lease.holder, machine: chat.ok ? chat.value.machine : null, heldForMs: lease.heldForMs };
}

export async function releaseLease(link: LeaseLink, session: string, token: number): Promise<void> {
  // Bound to the chat, the lease ends with it at the latest.
  await link.call("leases.release", { resource: leaseName(session), token }, callTimeoutMs);
}

/** @param holder null if it released the lease in the same moment */
export function leaseRefusal(session: string, machine: string, holder: Successor | null): Failure {
  if (holder === null)
    return { code: "held", message: `${session} was taken by another chat in this moment. Call again.` };
  const message =
    holder.chat === session
      ? `${session} may still run on ${machine}: its own chat holds it. If it is dead, it is free within a minute; call again then.`
      : `${session} ${successorText(session, holder)}`;
  return { code: "held", message };
}

/** For a takeover that the coordinator did not complete. */
export function incompleteRefusal(session: string, machine: string, { code, message }: Failure): Failure {
  if (code === "unknown_key")
    return { code, message: `${session} is gone: it was forgotten on ${machine}, or is no longer kept.` };
  return { code, message: `${session} was not taken (${message}). Nothing is lost; call again.` };
}
