import { oneLine } from "../shared/format.ts";
import { ok } from "../shared/result.ts";
import type { CliResult } from "./answer.ts";
import type { Cli } from "./cli.ts";

/** [CL181] @returns short id and title of a chat; the whole id of one that is not known any more */
export async function chatLabels(cli: Cli): Promise<(chat: string) => string> {
  const listed = await cli.call("team.chats", { all: true });
  const known = new Map(listed.ok ? listed.value.chats.map((one) => [one.chat, one]) : []);
  return (id) => {
    const chat = known.get(id);
    return chat ? `${chat.shortId} ${oneLine(chat.title ?? chat.client, 40)}` : id;
  };
}

/** @param text beginning of its id or title */
export async function findChat(cli: Cli, text: string): Promise<CliResult<string>> {
  const found = await cli.call("team.find-chat", { chat: text });
  return found.ok ? ok(found.value.chat) : found;
}
