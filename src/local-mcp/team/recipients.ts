import type { Chat } from "../../contract/chats.ts";
import type { Target } from "../../contract/messages.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { isPassing, type Trouble } from "../link/chat-link.ts";
import type { TeamChat } from "./team-chat.ts";

const withinMs = 5_000;
const page = 200;
/** Shorter beginnings of ids are more likely a word. */
const leastIdChars = 6;
/** Longer texts are ids in full. */
const longestBeginning = 20;

/** The receivers of a message: "all", "topic:NAME", or a chat by its id, the beginning of its id, or its title. */
export async function recipient(member: TeamChat, to: string): Promise<Result<Target, Trouble>> {
  if (to === "all") return ok({ to: "all" });
  if (to.startsWith("topic:")) return ok({ to: "topic", topic: to.slice("topic:".length) });
  const found = await everybody(member);
  // A whole id needs no list: the message is kept while the coordinator cannot be reached.
  if (!found.ok) return isPassing(found.error) && isWholeId(to) ? ok({ to: "chat", chat: to }) : found;
  return among(
    member,
    found.value.filter(({ chat }) => chat !== member.sessionId),
    to,
  );
}

function among(member: TeamChat, others: readonly Chat[], to: string): Result<Target, Trouble> {
  const exact = others.find(({ chat }) => chat === to);
  if (exact) return ok({ to: "chat", chat: exact.chat });
  const living = others.filter(({ status }) => status !== "offline");
  const [one, ...more] = matching(member, living, to);
  if (one && more.length === 0) return ok({ to: "chat", chat: one.chat });
  const message = one
    ? `"${to}" may be ${[one, ...more].map(({ chat }) => chat).join(", ")}; give more of the id`
    : `no chat that is here is called "${to}"; shim_chats lists them (all: true also those that are gone)`;
  return err({ code: "unknown_chat", message });
}

function matching(member: TeamChat, living: readonly Chat[], to: string): Chat[] {
  const byId = to.length < leastIdChars ? [] : living.filter(({ chat }) => chat.startsWith(to));
  if (byId.length > 0) return byId;
  const wanted = to.toLowerCase();
  const named = living.map((chat) => ({ chat, name: member.directory.of(chat).name.toLowerCase() }));
  const exact = named.filter(({ name }) => name === wanted);
  const found = exact.length > 0 ? exact : named.filter(({ name }) => name.startsWith(wanted));
  return found.map(({ chat }) => chat);
}

function isWholeId(to: string): boolean {
  return to.length > longestBeginning && /^[\w.:@-]{1,128}$/.test(to);
}

async function everybody(member: TeamChat): Promise<Result<Chat[], Trouble>> {
  const found: Chat[] = [];
  let cursor: string | null = null;
  do {
    const next: { cursor?: string } = cursor === null ? {} : { cursor };
    const answer = await member.opened.link.call("chats.list", { limit: page, ...next }, withinMs);
    if (!answer.ok) return answer;
    found.push(...answer.value.chats);
    ({ cursor } = answer.value);
  } while (cursor !== null);
  return ok(found);
}
