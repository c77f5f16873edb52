import type { Chat } from "../../contract/chats.ts";
import { age } from "./brief.ts";

/** Pure: whether a session of another machine is over, by what whoever decides for the workspace knows of its chat. */

/** unknown: there is no chat of this name (it never registered, or was forgotten); unreachable: nobody could be asked. */
export type Seen = Told | { readonly status: "unknown" } | { readonly status: "unreachable"; readonly why: string };

type Told = Pick<Chat, "status" | "reason" | "lastSeenAgeMs">;

export interface Fate {
  readonly isOver: boolean;
  /** The coordinator says that the chat is gone. */
  readonly isCertain: boolean;
  /** One sentence: what it rests on. */
  readonly detail: string;
}

/** What nobody can tell more of counts as over after this silence, as a session of this machine does. */
const silentMs = 600_000;

const goneWords: Readonly<Record<string, string>> = {
  attested: "another SHIM process of its machine saw that its process is gone",
  closed: "its connection to the coordinator closed, and it did not come back",
  timeout: "the coordinator heard nothing more of it",
};

/**
 * [RE20] Over, and certainly: the coordinator has declared its chat dead. Over, but not certainly: there is no such chat, or it left without an
 * end, and its machine has told nothing for ten minutes. Else it is not over.
 *
 * @param silence how long nothing of the session has come, in ms
 */
export function fateOf(seen: Seen, silence: number): Fate {
  if ("lastSeenAgeMs" in seen) return told(seen, silence);
  if (seen.status === "unknown") return quiet(silence, "The coordinator knows no chat of it");
  const detail = `Whether it lives cannot be told now: ${seen.why}.`;
  return { isOver: false, isCertain: false, detail };
}

function told({ status, reason, lastSeenAgeMs }: Told, silence: number): Fate {
  if (status === "offline") return gone(reason ?? "", lastSeenAgeMs, silence);
  return { isOver: false, isCertain: true, detail: `It is ${status}, and was heard ${age(lastSeenAgeMs)} ago.` };
}

function gone(reason: string, lastSeenAgeMs: number, silence: number): Fate {
  const words = goneWords[reason];
  // It left, and its machine has not told yet how the session ended.
  if (words === undefined) return quiet(silence, "Its chat left the workspace without an end of the session");
  return { isOver: true, isCertain: true, detail: `Last heard ${age(lastSeenAgeMs)} ago: ${words}.` };
}

function quiet(silence: number, what: string): Fate {
  const detail = `${what}; its machine told nothing more of it for ${age(silence)}.`;
  return { isOver: silence > silentMs, isCertain: false, detail };
}
