import type { ListedChat } from "../../contract/machine/team.ts";
import { ok } from "../../shared/result.ts";
import { findChat, isPresent, listChats } from "./chat-names.ts";
import type { HandlerContext, Handlers } from "./handlers.ts";
import type { HostResult } from "./host.ts";

export const teamHandlers: Handlers<"team.chats" | "team.find-chat"> = {
  async "team.chats"(context, { all, state }) {
    const listed = await allChats(context);
    if (!listed.ok) return listed;
    const { where, chats } = listed.value;
    const shown = chats.filter((one) => (state === undefined ? all || isPresent(one) : one.state === state));
    return ok({ where, chats: shown, hidden: state === undefined ? chats.length - shown.length : 0 });
  },
  async "team.find-chat"(context, { chat }) {
    const listed = await allChats(context);
    const found = listed.ok ? findChat(listed.value.chats, chat) : listed;
    return found.ok ? ok({ chat: found.value }) : found;
  },
};

async function allChats(
  context: HandlerContext,
): Promise<HostResult<{ readonly where: string; readonly chats: ListedChat[] }>> {
  const workspace = await context.workspace.open();
  if (!workspace.ok) return workspace;
  const listed = await workspace.value.list("chats.list", {});
  if (!listed.ok) return listed;
  const { where, machine } = workspace.value;
  return ok({ where, chats: listChats(await context.runtime(), machine, listed.value.chats) });
}
