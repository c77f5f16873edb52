import { err, ok, type Result } from "../../../shared/result.ts";
import { isTransient, type CallError } from "../../../contract/errors.ts";
import type { CoordinatorClient } from "../../../coordinator-client/coordinator-client.ts";
import type { Successor } from "./verdict.ts";

type LeaseLink = Pick<CoordinatorClient, "self" | "call">;

export interface LeaseRefusal extends CallError {
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
  const problem: CallError = answer.ok ? { code: "lease_held", message: "others are waiting for it" } : answer.error;
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
