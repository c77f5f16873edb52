import type { InputOf } from "../../../../contract/operations.ts";
import type { Self } from "../../../../contract/values.ts";
import { ok, type Result } from "../../../../shared/result.ts";
import { newId } from "../../../../coordinator-client/edge/platform.ts";
import { nodePlatform } from "../../../../coordinator-client/edge/node-platform.ts";
import { elapsedMs, readClock } from "../../../../coordinator-client/edge/trust.ts";
import { StoreError } from "../../../../store/store-error.ts";
import type { FailedResult } from "../../../answer.ts";
import type { CoordinatorLink } from "../../../coordinator-link.ts";
import type { Io } from "../../../io.ts";
import { interruptedBefore, type CommandLease } from "./held-lease.ts";
import { notAcquired, type LeaseGrant, type LeaseRequest } from "./lease-request.ts";

const pollIntervalMs = 200;
const renewIntervalMs = 2_000;

/** [CL33] Acquires from this machine's own file, which answers at once. */
export async function acquireLocally(
  { wait }: Pick<Io, "wait">,
  link: CoordinatorLink,
  chat: InputOf<"chats.register">,
  request: LeaseRequest,
  stop: AbortSignal,
): Promise<Result<CommandLease, FailedResult["error"]>> {
  const registered = await link.call("chats.register", chat);
  if (!registered.ok) return registered;
  const self: Self = { chat: chat.chat, incarnation: registered.value.incarnation };
  const tokenResult = await acquire(wait, link, self, request, stop);
  if (!tokenResult.ok) {
    await link.call("chats.unregister", { self });
    return tokenResult;
  }
  const stopped = new AbortController();
  const lost = new AbortController();
  const grant = { self, token: tokenResult.value };
  const renewal = renewPeriodically(wait, { link, request, grant }, lost, stopped.signal);
  const release = async (): Promise<void> => {
    stopped.abort();
    await renewal;
    await request.releaseLocally(link, grant);
    await link.call("chats.unregister", { self });
  };
  return ok({ token: tokenResult.value, lost: lost.signal, release });
}

async function acquire(
  wait: Io["wait"],
  link: CoordinatorLink,
  self: Self,
  request: LeaseRequest,
  stop: AbortSignal,
): Promise<Result<number, FailedResult["error"]>> {
  const requestId = newId(nodePlatform());
  const deadline = performance.now() + request.waitMs;
  while (!stop.aborted) {
    const leftMs = Math.max(0, Math.ceil(deadline - performance.now()));
    const answer = await request.acquireLocally(link, self, requestId, leftMs);
    if (!answer.ok) return answer;
    if (answer.value !== null) return ok(answer.value);
    if (leftMs === 0) return notAcquired(`${request.resource} was not free within ${request.waitMs / 1_000} s.`);
    await wait(Math.min(pollIntervalMs, leftMs), stop);
  }
  return interruptedBefore();
}

interface RenewalContext {
  readonly link: CoordinatorLink;
  readonly request: LeaseRequest;
  readonly grant: LeaseGrant;
}

async function renewPeriodically(
  wait: Io["wait"],
  context: RenewalContext,
  lost: AbortController,
  stopped: AbortSignal,
): Promise<void> {
  const { clock } = nodePlatform();
  const { ttlMs } = context.request;
  for (let renewedAt = readClock(clock); !lost.signal.aborted;) {
    await wait(Math.min(renewIntervalMs, ttlMs / 4), stopped);
    if (stopped.aborted) return;
    const now = readClock(clock);
    const problem = await renewOnce(context);
    if (problem === null) renewedAt = now;
    // A file that cannot be written now may work again before the ttl ends.
    else if (problem.isFinal || elapsedMs(renewedAt, now) >= ttlMs) lost.abort(problem.message);
  }
}

async function renewOnce({
  link,
  request,
  grant,
}: RenewalContext): Promise<{ readonly isFinal: boolean; readonly message: string } | null> {
  try {
    const answer = await request.renewLocally(link, grant);
    return answer.ok ? null : { isFinal: true, message: answer.error.message };
  } catch (error) {
    if (error instanceof StoreError) return { isFinal: false, message: error.message };
    throw error;
  }
}
