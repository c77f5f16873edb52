import type { InputOf } from "../../contract/operations.ts";
import type { Self } from "../../contract/values.ts";
import { ok, type Result } from "../../shared/result.ts";
import { newId } from "../../local-mcp/edge/outside.ts";
import { systemOutside } from "../../local-mcp/edge/system-outside.ts";
import { elapsedMs, read } from "../../local-mcp/edge/trust.ts";
import { StoreError } from "../../local-mcp/store/store-error.ts";
import type { Refused } from "../answer.ts";
import type { Coordination } from "../coordination.ts";
import type { Io } from "../io.ts";
import { interruptedBefore, type KeptLease } from "./kept-lease.ts";
import { notGot, type Holding, type WantedRight } from "./wanted-right.ts";

const pollEveryMs = 200;
const renewEveryMs = 2_000;

/** [CL33] From this machine's own file, which answers at once. */
export async function takeHere(
  { wait }: Pick<Io, "wait">,
  link: Coordination,
  chat: InputOf<"chats.register">,
  wanted: WantedRight,
  stop: AbortSignal,
): Promise<Result<KeptLease, Refused["error"]>> {
  const registered = await link.call("chats.register", chat);
  if (!registered.ok) return registered;
  const self: Self = { chat: chat.chat, incarnation: registered.value.incarnation };
  const got = await acquire(wait, link, self, wanted, stop);
  if (!got.ok) {
    await link.call("chats.unregister", { self });
    return got;
  }
  const over = new AbortController();
  const lost = new AbortController();
  const holding = { self, token: got.value };
  const kept = keep(wait, { link, wanted, holding }, lost, over.signal);
  const giveBack = async (): Promise<void> => {
    over.abort();
    await kept;
    await wanted.releaseHere(link, holding);
    await link.call("chats.unregister", { self });
  };
  return ok({ token: got.value, lost: lost.signal, giveBack });
}

/** @returns the token */
async function acquire(
  wait: Io["wait"],
  link: Coordination,
  self: Self,
  wanted: WantedRight,
  stop: AbortSignal,
): Promise<Result<number, Refused["error"]>> {
  const requestId = newId(systemOutside());
  const until = performance.now() + wanted.waitMs;
  while (!stop.aborted) {
    const leftMs = Math.max(0, Math.ceil(until - performance.now()));
    const asked = await wanted.askHere(link, self, requestId, leftMs);
    if (!asked.ok) return asked;
    if (asked.value !== null) return ok(asked.value);
    if (leftMs === 0) return notGot(`${wanted.resource} was not free within ${wanted.waitMs / 1_000} s.`);
    await wait(Math.min(pollEveryMs, leftMs), stop);
  }
  return interruptedBefore();
}

interface Held {
  readonly link: Coordination;
  readonly wanted: WantedRight;
  readonly holding: Holding;
}

async function keep(wait: Io["wait"], held: Held, lost: AbortController, over: AbortSignal): Promise<void> {
  const { clock } = systemOutside();
  const { ttlMs } = held.wanted;
  for (let renewedAt = read(clock); !lost.signal.aborted;) {
    await wait(Math.min(renewEveryMs, ttlMs / 4), over);
    if (over.aborted) return;
    const now = read(clock);
    const problem = await renewed(held);
    if (problem === null) renewedAt = now;
    // A file that cannot be written to now may be so again while its time lasts.
    else if (problem.isFinal || elapsedMs(renewedAt, now) >= ttlMs) lost.abort(problem.message);
  }
}

async function renewed({
  link,
  wanted,
  holding,
}: Held): Promise<{ readonly isFinal: boolean; readonly message: string } | null> {
  try {
    const answer = await wanted.renewHere(link, holding);
    return answer.ok ? null : { isFinal: true, message: answer.error.message };
  } catch (error) {
    if (error instanceof StoreError) return { isFinal: false, message: error.message };
    throw error;
  }
}
