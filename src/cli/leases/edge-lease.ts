import type { InputOf } from "../../contract/operations.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { EdgeClient } from "../../local-mcp/edge/client.ts";
import type { EdgeEvent } from "../../local-mcp/edge/events.ts";
import type { Right } from "../../local-mcp/edge/kept-right.ts";
import { marginMs } from "../../local-mcp/edge/trust.ts";
import type { Refused } from "../answer.ts";
import { unanswered } from "../coordination.ts";
import { interruptedBefore, type KeptLease } from "./kept-lease.ts";
import { notGot, type WantedRight } from "./wanted-right.ts";

/** For giving it back, in ms. */
const farewellMs = 5_000;

/** [CL33] Over the edge's own client, which renews it and knows how long it may be trusted. */
export async function takeOnEdge(
  edge: EdgeClient,
  chat: InputOf<"chats.register">,
  wanted: WantedRight,
  stop: AbortSignal,
): Promise<Result<KeptLease, Refused["error"]>> {
  const registered = await edge.register(chat);
  if (!registered.ok) return unanswered(registered.error);
  const lost = new AbortController();
  const lose = (reason: string): void => lost.abort(reason);
  const stopHearing = hear(edge, wanted, lose);
  const held = await Promise.race([wanted.holdOnEdge(edge, { onLost: lose }), aborted(stop)]);
  if (held !== null && held.ok) {
    const right = held.value;
    const giveBack = (): Promise<void> => {
      stopHearing();
      return farewell(edge, right);
    };
    return ok({ token: right.token, lost: lost.signal, giveBack });
  }
  stopHearing();
  await farewell(edge, null);
  if (held === null) return interruptedBefore();
  return held.error.code === "lease_held" ? notGot(`${held.error.message}.`) : unanswered(held.error);
}

/** Told when it is lost, and when nobody has confirmed it until its time at the coordinator is over. @returns ends it */
function hear(edge: EdgeClient, { resource, ttlMs }: WantedRight, lose: (reason: string) => void): () => void {
  let doubt: NodeJS.Timeout | undefined;
  const heed = (event: EdgeEvent): void => {
    if (event.type === "state" && event.state === "closed") return lose(event.reason);
    if (event.type === "chat-lost") return lose(event.error.message);
    if (event.type !== "right" || event.name !== resource) return;
    clearTimeout(doubt);
    // After a jump of a clock it is confirmed in a moment.
    if (event.state === "doubtful") doubt = setTimeout(() => lose(event.reason), marginMs(ttlMs));
  };
  const stop = edge.on(heed);
  return () => {
    clearTimeout(doubt);
    stop();
  };
}

async function farewell(edge: EdgeClient, right: Right | null): Promise<void> {
  const done = (async () => {
    await right?.release();
    await edge.unregister();
  })();
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, farewellMs);
  await Promise.race([done, late]);
  clearTimeout(timer);
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener("abort", () => resolve(null), { once: true });
  });
}
