import { formatAgo, quotedTitle } from "../../../shared/format.ts";
import * as sessions from "../../../machine/sessions/sessions.ts";
import type { Chat } from "./chat.ts";

const maxListed = 3;

/** An app with one process for all its chats lives on when one of them is full. */
export function linesOfOtherChats(chat: Chat, sessionId: string): string[] {
  const others = othersOfApp(chat, sessionId);
  if (others.length === 0) return [];
  const now = chat.runtime.now();
  const lines = others
    .slice(0, maxListed)
    .map((one) => `- ${quotedTitle(sessions.displayTitle(one))} (${one.id}), ${formatAgo(now, one.lastSeenAt)}`);
  return ['Other chats of this app ("of" gives a brief; to continue one, pass its id as "session"):', ...lines];
}

/** Sessions with something in them that this process has made, newest first. */
function othersOfApp(chat: Chat, sessionId: string): sessions.Session[] {
  const ids = chat.servedSessions().filter((id) => id !== sessionId);
  return chat.runtime.store.read((sql) => {
    const stored = ids.flatMap((id) => (sessions.hasContent(sql, id) ? (sessions.get(sql, id) ?? []) : []));
    const made = stored.filter(({ origin, ending }) => origin === "handle" && ending?.how !== "ended");
    return made.sort((a, b) => b.lastSeenAt - a.lastSeenAt);
  }, []);
}
