import type { RegisteredChat } from "../../../contract/chat-state.ts";
import type { Chat } from "../../../contract/chats.ts";
import { age } from "../../../shared/format.ts";
import { isAlive, isInOtherNamespace, type Processes } from "../../../platform/processes.ts";
import type { Session } from "../../sessions/sessions.ts";

/** Silence after which a session counts as dead whose process or chat cannot be seen. */
const maxSilenceMs = 600_000;

/** For a session of this machine. */
export function isDead(session: Session, processes: Processes, now: number): boolean {
  if (session.owner && !isInOtherNamespace(processes, session.owner)) return !isAlive(processes, session.owner);
  return session.detachedAt !== null || now - session.lastSeenAt > maxSilenceMs;
}

/** unknown: the chat never registered, or was forgotten; unreachable: no answer. */
export type ChatObservation =
  | ChatStatus
  | { readonly status: "unknown" }
  | { readonly status: "unreachable"; readonly why: string };

type ChatStatus = RegisteredChat & Pick<Chat, "lastSeenAgeMs">;

export interface Liveness {
  readonly isOver: boolean;
  /** The coordinator says that the chat is gone. */
  readonly isCertain: boolean;
  /** A process of its machine has seen that its process is gone. */
  readonly isAttested: boolean;
  readonly detail: string;
  /** The coordinator's view of a chat that is present; null: none. */
  readonly chat: RegisteredChat | null;
}

const offlineReasonText: Readonly<Record<string, string>> = {
  attested: "another SHIM process of its machine saw that its process is gone",
  closed: "its connection to the coordinator closed, and it did not come back",
  timeout: "the coordinator heard nothing more of it",
};

/** News that its machine has sent of a session. */
interface Sent {
  /** Time since the last of them, in ms. */
  readonly silenceMs: number;
  readonly hasDied: boolean;
}

const ended = { isOver: true, isCertain: true, isAttested: true, chat: null };
const noEndSeen = { isOver: false, isCertain: false, isAttested: false, chat: null };

/** Pure. */
export function livenessOf(observation: ChatObservation, sent: Sent): Liveness {
  const { status } = observation;
  if (status === "unknown") return livenessAsSent(sent, "The coordinator knows no chat of it");
  if (status === "unreachable")
    return { ...noEndSeen, detail: `Whether it lives is not known now: ${observation.why}.` };
  const heard = `heard ${age(observation.lastSeenAgeMs)} ago`;
  if (status !== "offline")
    return { ...noEndSeen, isCertain: true, detail: `It is ${status}, and was ${heard}.`, chat: observation };
  const { reason } = observation;
  const words = offlineReasonText[reason ?? ""];
  // The chat left, and its machine has not reported yet how the session ended.
  if (words === undefined) return livenessAsSent(sent, "Its chat left the workspace without an end of the session");
  return { ...ended, isAttested: reason === "attested", detail: `Last ${heard}: ${words}.` };
}

function livenessAsSent({ silenceMs, hasDied }: Sent, what: string): Liveness {
  if (hasDied) return { ...ended, detail: "Its machine reported its death." };
  const detail = `${what}; its machine sent nothing more of it for ${age(silenceMs)}.`;
  return { ...noEndSeen, isOver: silenceMs > maxSilenceMs, detail };
}
