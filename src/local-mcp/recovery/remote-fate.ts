import type { Chat } from "../../contract/chats.ts";
import { age } from "./brief.ts";

/** Whether a session of another machine is over, by the coordinator's knowledge of its chat. Pure. */

/** unknown: there is no chat of this name (it never registered, or was forgotten); unreachable: the coordinator did not answer. */
export type Seen = Told | { readonly status: "unknown" } | { readonly status: "unreachable"; readonly why: string };

type Told = Pick<Chat, "status" | "reason" | "lastSeenAgeMs">;

export interface Fate {
  readonly isOver: boolean;
  /** The coordinator says that the chat is gone. */
  readonly isCertain: boolean;
  /** The evidence in one sentence. */
  readonly detail: string;
}

/** A session of which nothing more is known counts as over after this silence, as one of this machine does. */
const silentMs = 600_000;

const goneWords: Readonly<Record<string, string>> = {
  attested: "another SHIM process of its machine saw that its process is gone",
  closed: "its connection to the coordinator closed, and it did not come back",
  timeout: "the coordinator heard nothing more of it",
};

/**
 * [RE20] Certainly over: the coordinator has declared its chat dead. Over, but not certainly: there is no such chat, or it left without an end,
 * and its machine was silent for ten minutes. Else the session is not over.
 *
 * @param silence time since the last news of the session, in ms
 */
export function fateOf(seen: Seen, silence: number): Fate {
  if ("lastSeenAgeMs" in seen) return told(seen, silence);
  if (seen.status === "unknown") return quiet(silence, "The coordinator knows no chat of it");
  const detail = `Whether it lives is not known now: ${seen.why}.`;
  return { isOver: false, isCertain: false, detail };
}

function told({ status, reason, lastSeenAgeMs }: Told, silence: number): Fate {
  if (status === "offline") return gone(reason ?? "", lastSeenAgeMs, silence);
  return { isOver: false, isCertain: true, detail: `It is ${status}, and was heard ${age(lastSeenAgeMs)} ago.` };
}

function gone(reason: string, lastSeenAgeMs: number, silence: number): Fate {
  const words = goneWords[reason];
  // The chat left, and its machine has not reported yet how the session ended.
  if (words === undefined) return quiet(silence, "Its chat left the workspace without an end of the session");
  return { isOver: true, isCertain: true, detail: `Last heard ${age(lastSeenAgeMs)} ago: ${words}.` };
}

function quiet(silence: number, what: string): Fate {
  const detail = `${what}; its machine sent nothing more of it for ${age(silence)}.`;
  return { isOver: silence > silentMs, isCertain: false, detail };
}
