import { type McpServer, ResourceNotFoundError, ResourceTemplate } from "@modelcontextprotocol/server";
import type { ChatLink } from "../../coordinator-client/chat-link.ts";
import type { Chat } from "./chat/chat.ts";

const callTimeoutMs = 5_000;
const maxListed = 100;
const prefix = "shim://state/";

/** [TE17] Each key is a resource: JSON with its version. */
export function registerState(server: McpServer, chat: Chat): void {
  const template = new ResourceTemplate(`${prefix}{key}`, { list: async () => ({ resources: await list(chat) }) });
  const metadata = { description: "Shared state: value and version", mimeType: "application/json" };
  server.registerResource("state", template, metadata, async (uri, { key }) => {
    const text = await read(chat, decodeURIComponent(String(key)));
    if (text === null) throw new ResourceNotFoundError(uri.href);
    return { contents: [{ uri: uri.href, mimeType: "application/json", text }] };
  });
}

async function read(chat: Chat, key: string): Promise<string | null> {
  const found = await (await linkOf(chat))?.call("state.get", { key }, callTimeoutMs);
  if (!found) throw new Error("this chat is not in the team yet; try again in a few seconds");
  if (!found.ok) throw new Error(`${found.error.code}: ${found.error.message}`);
  return found.value.entry ? JSON.stringify(found.value.entry, null, 1) : null;
}

/** The client's list has other resources too, so an unreachable coordinator is no error. */
async function list(chat: Chat): Promise<{ name: string; uri: string }[]> {
  const found = await (await linkOf(chat))?.call("state.list", { limit: maxListed }, callTimeoutMs);
  if (!found?.ok) return [];
  return found.value.entries.map(({ key }) => ({ name: key, uri: `${prefix}${encodeURIComponent(key)}` }));
}

async function linkOf(chat: Chat): Promise<ChatLink | undefined> {
  return (await chat.team?.reader())?.link;
}
