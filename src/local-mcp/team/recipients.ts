import { isTransient, type CallError } from "../../contract/errors.ts";
import type { Chat } from "../../contract/chats.ts";
import type { Target } from "../../contract/messages.ts";
import { fetchPages } from "../../coordinator-client/fetch-pages.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { TeamChat } from "./team-chat.ts";

const timeoutMs = 5_000;
/** A shorter prefix is more likely a word. */
const minIdChars = 6;
const maxPrefixChars = 20;

/** Accepts "all", "topic:NAME", or a chat's id, id prefix or title. */
export async function resolveRecipient(member: TeamChat, to: string): Promise<Result<Target, CallError>> {
  if (to === "all") return ok({ to: "all" });
  if (to.startsWith("topic:")) return ok({ to: "topic", topic: to.slice("topic:".length) });
  const { link } = member.openedLink;
  const chats = await fetchPages({ call: (name, input) => link.call(name, input, timeoutMs) }, "chats.list", {});
  // A message to a whole id can be kept for later.
  if (!chats.ok) return isTransient(chats.error) && isWholeId(to) ? ok({ to: "chat", chat: to }) : chats;
  return pickRecipient(
    member,
    chats.value.chats.filter(({ chat }) => chat !== member.sessionId),
    to,
  );
}

function pickRecipient(member: TeamChat, others: readonly Chat[], to: string): Result<Target, CallError> {
  const exact = others.find(({ chat }) => chat === to);
  if (exact) return ok({ to: "chat", chat: exact.chat });
  const online = others.filter(({ status }) => status !== "offline");
  const [match, ...more] = findMatching(member, online, to);
  if (match && more.length === 0) return ok({ to: "chat", chat: match.chat });
  const message = match
    ? `"${to}" may be ${[match, ...more].map(({ chat }) => chat).join(", ")}; give more of the id`
    : `no online chat is called "${to}"; shim_chats lists them (with all: true also offline chats)`;
  return err({ code: "unknown_chat", message });
}

function findMatching(member: TeamChat, online: readonly Chat[], to: string): Chat[] {
  const byId = to.length < minIdChars ? [] : online.filter(({ chat }) => chat.startsWith(to));
  if (byId.length > 0) return byId;
  const lowerName = to.toLowerCase();
  const namedChats = online.map((chat) => ({ chat, name: member.directory.fromChat(chat).name.toLowerCase() }));
  const exact = namedChats.filter(({ name }) => name === lowerName);
  const chats = exact.length > 0 ? exact : namedChats.filter(({ name }) => name.startsWith(lowerName));
  return chats.map(({ chat }) => chat);
}

function isWholeId(to: string): boolean {
  return to.length > maxPrefixChars && /^[\w.:@-]{1,128}$/.test(to);
}
