import {
  causeText,
  presenceOf,
  stateOf,
  type ChatFacts,
  type Presence,
  type ShownState,
} from "../../contract/chat-state.ts";
import type { RemoteSession } from "../sync/remote-sessions.ts";
import type { Liveness } from "./liveness.ts";
import { assessLiveness, hasSomeContent, isTaken, type DeadRemoteSession } from "./remote-candidates.ts";
import type { RemoteContext } from "./remote-context.ts";
import { localClock } from "./remote-session.ts";

/** [SI66] For a session of another machine. @param short shortens the id of a chat */
export async function readRemoteState(
  context: RemoteContext,
  row: RemoteSession,
  short: (chat: string) => string,
): Promise<ShownState> {
  const now = context.runtime.now();
  const facts = { ...storedFacts(row), continuedBy: null, offer: null };
  // A decision of its own machine needs no answer of the coordinator.
  if (facts.end !== null || facts.recovery !== null)
    return stateOf({ ...facts, presence: { is: "gone", cause: null } });
  const liveness = await assessLiveness(context, row);
  const { taken } = row;
  const isContinued = taken !== null && liveness.isOver && (await isTaken(context, row));
  const continuedBy = isContinued ? `${short(taken.chat)} on ${taken.machine}` : null;
  return stateOf({ ...facts, continuedBy, presence: presenceElsewhere(row, liveness, now) });
}

/** [SI66] [RE20] @param offer the chat of this machine that has it in its context */
export function stateOfDead({ row, liveness }: DeadRemoteSession, now: number, offer: ChatFacts["offer"]): ShownState {
  return stateOf({ ...storedFacts(row), continuedBy: null, offer, presence: presenceElsewhere(row, liveness, now) });
}

function storedFacts(row: RemoteSession): Omit<ChatFacts, "continuedBy" | "offer" | "presence"> {
  const { recovery } = row.content;
  return {
    end: row.isEnded ? "finished" : null,
    recovery: recovery === "recovered" || recovery === "dismissed" ? recovery : null,
    hasContent: hasSomeContent(row),
    isClosed: false,
  };
}

function presenceElsewhere(row: RemoteSession, { isOver, isCertain, chat }: Liveness, now: number): Presence {
  const { death, lastSeenAt } = row.content;
  if (chat !== null) return presenceOf(chat);
  const silenceMs = Math.max(0, now - localClock(row)(lastSeenAt));
  if (!isCertain) return { is: isOver ? "silent" : "unheard", silenceMs };
  return { is: "gone", cause: death ? causeText(death.cause) : null };
}
