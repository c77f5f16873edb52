import type { InputOf } from "../../../../contract/operations.ts";
import { ok, type Result } from "../../../../shared/result.ts";
import type { EdgeClient } from "../../../../coordinator-client/edge/client.ts";
import type { EdgeEvent } from "../../../../coordinator-client/edge/events.ts";
import type { HeldLease } from "../../../../coordinator-client/edge/held-lease.ts";
import { marginMs } from "../../../../coordinator-client/edge/trust.ts";
import type { FailedResult } from "../../../answer.ts";
import { edgeFailure } from "../../../coordinator-link.ts";
import { interruptedBefore, type CommandLease } from "./held-lease.ts";
import { notAcquired, type LeaseRequest } from "./lease-request.ts";

const releaseTimeoutMs = 5_000;

/** [CL33] The edge client renews the lease and knows how long to trust it. */
export async function acquireOnEdge(
  edge: EdgeClient,
  chat: InputOf<"chats.register">,
  request: LeaseRequest,
  stop: AbortSignal,
): Promise<Result<CommandLease, FailedResult["error"]>> {
  const registered = await edge.register(chat);
  if (!registered.ok) return edgeFailure(registered.error);
  const lost = new AbortController();
  const lose = (reason: string): void => lost.abort(reason);
  const stopHearing = onLeaseLost(edge, request, lose);
  const leaseResult = await Promise.race([request.holdOnEdge(edge, { onLost: lose }), aborted(stop)]);
  if (leaseResult !== null && leaseResult.ok) {
    const lease = leaseResult.value;
    const release = (): Promise<void> => {
      stopHearing();
      return releaseAndUnregister(edge, lease);
    };
    return ok({ token: lease.token, lost: lost.signal, release });
  }
  stopHearing();
  await releaseAndUnregister(edge, null);
  if (leaseResult === null) return interruptedBefore();
  return leaseResult.error.code === "lease_held"
    ? notAcquired(`${leaseResult.error.message}.`)
    : edgeFailure(leaseResult.error);
}

/** Calls `lose` also for a lease that stays doubtful past its ttl. @returns stops listening */
function onLeaseLost(edge: EdgeClient, { resource, ttlMs }: LeaseRequest, lose: (reason: string) => void): () => void {
  let doubt: NodeJS.Timeout | undefined;
  const listener = (event: EdgeEvent): void => {
    if (event.type === "state" && event.state === "closed") return lose(event.reason);
    if (event.type === "chat-lost") return lose(event.error.message);
    if (event.type !== "right" || event.name !== resource) return;
    clearTimeout(doubt);
    // After a clock jump the lease is confirmed in a moment.
    if (event.state === "doubtful") doubt = setTimeout(() => lose(event.reason), marginMs(ttlMs));
  };
  const stop = edge.on(listener);
  return () => {
    clearTimeout(doubt);
    stop();
  };
}

async function releaseAndUnregister(edge: EdgeClient, lease: HeldLease | null): Promise<void> {
  const done = (async () => {
    await lease?.release();
    await edge.unregister();
  })();
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, releaseTimeoutMs);
  await Promise.race([done, late]);
  clearTimeout(timer);
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener("abort", () => resolve(null), { once: true });
  });
}
