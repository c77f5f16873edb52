import type { Chat } from "../../contract/chats.ts";
import type { Target } from "../../contract/messages.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { isTransient, type CallError } from "../../coordinator-client/chat-link.ts";
import type { TeamChat } from "./team-chat.ts";

const timeoutMs = 5_000;
const pageSize = 200;
/** A shorter prefix is more likely a word. */
const minIdChars = 6;
const maxPrefixChars = 20;

/** Accepts "all", "topic:NAME", or a chat's id, id prefix or title. */
export async function resolveRecipient(member: TeamChat, to: string): Promise<Result<Target, CallError>> {
  if (to === "all") return ok({ to: "all" });
  if (to.startsWith("topic:")) return ok({ to: "topic", topic: to.slice("topic:".length) });
  const chats = await listChats(member);
  // A message to a whole id can be kept for later.
  const isWholeId = to.length > maxPrefixChars && /^[\w.:@-]{1,128}$/.test(to);
  if (!chats.ok) return isTransient(chats.error) && isWholeId ? ok({ to: "chat", chat: to }) : chats;
  const others = chats.value.filter(({ chat }) => chat !== member.sessionId);
  return pickRecipient(member, others, to);
}

function pickRecipient(member: TeamChat, others: readonly Chat[], to: string): Result<Target, CallError> {
  const exact = others.find(({ chat }) => chat === to);
  if (exact) return ok({ to: "chat", chat: exact.chat });
  const online = others.filter(({ status }) => status !== "offline");
  const [match, ...more] = findMatching(member, online, to);
  if (match && more.length === 0) return ok({ to: "chat", chat: match.chat });
  const message = match
    ? `"${to}" may be ${[match, ...more].map(({ chat }) => chat).join(", ")}; give more of the id`
    : `no chat that is here is called "${to}"; shim_chats lists them (all: true also those that are gone)`;
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

async function listChats(member: TeamChat): Promise<Result<Chat[], CallError>> {
  const chats: Chat[] = [];
  let cursor: string | null = null;
  do {
    const next: { cursor?: string } = cursor === null ? {} : { cursor };
    const answer = await member.openedLink.link.call("chats.list", { limit: pageSize, ...next }, timeoutMs);
    if (!answer.ok) return answer;
    chats.push(...answer.value.chats);
    ({ cursor } = answer.value);
  } while (cursor !== null);
  return ok(chats);
}
