import { type McpServer, ResourceNotFoundError, ResourceTemplate } from "@modelcontextprotocol/server";
import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import { currentState } from "../checkpoints/capture.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Chat } from "../chat/chat.ts";

export function registerResources(server: McpServer, chat: Chat): void {
  if (chat.team) registerState(server, chat);
  registerResource(server, chat, "sessions", "A session: its current state", readSession, listSessions);
  registerResource(server, chat, "checkpoints", "A checkpoint's whole state", readCheckpoint, listCheckpoints);
}

type ReadResource = (chat: Chat, id: string) => string | null;

function registerResource(
  server: McpServer,
  chat: Chat,
  kind: string,
  description: string,
  readResource: ReadResource,
  list: (chat: Chat) => { name: string; uri: string }[],
): void {
  const template = new ResourceTemplate(`shim://${kind}/{id}`, { list: () => ({ resources: list(chat) }) });
  server.registerResource(kind, template, { description, mimeType: "application/json" }, (uri, values) => {
    const text = readResource(chat, String(values["id"]));
    if (text === null) throw new ResourceNotFoundError(uri.href);
    return { contents: [{ uri: uri.href, mimeType: "application/json", text }] };
  });
}

/** Clients show lists of resources in full. */
const maxListed = 50;

function readSession(chat: Chat, id: string): string | null {
  return chat.runtime.store.read((sql) => {
    const found = sessions.get(sql, id);
    return found ? JSON.stringify({ ...found, work: currentState(sql, id) }, null, 1) : null;
  }, null);
}

function readCheckpoint(chat: Chat, id: string): string | null {
  return chat.runtime.store.read((sql) => {
    const [found] = checkpoints.byPrefix(sql, id);
    return found?.id === id
      ? JSON.stringify({ ...found, work: checkpoints.requireState(sql, found.seq) }, null, 1)
      : null;
  }, null);
}

function listSessions(chat: Chat): { name: string; uri: string }[] {
  return chat.runtime.store
    .read((sql) => sessions.list(sql, { limit: maxListed }), [])
    .map((one) => ({ name: sessions.displayTitle(one) ?? one.id, uri: `shim://sessions/${one.id}` }));
}

function listCheckpoints(chat: Chat): { name: string; uri: string }[] {
  return chat.runtime.store
    .read((sql) => checkpoints.search(sql, { limit: maxListed }), [])
    .map(({ id, summary }) => ({ name: summary.split("\n")[0] || id, uri: `shim://checkpoints/${id}` }));
}

const callTimeoutMs = 5_000;
const maxListedKeys = 100;
const statePrefix = "shim://state/";

/** [TE17] Each key is a resource: JSON with its version. */
function registerState(server: McpServer, chat: Chat): void {
  const template = new ResourceTemplate(`${statePrefix}{key}`, {
    list: async () => ({ resources: await listState(chat) }),
  });
  const metadata = { description: "Shared state: value and version", mimeType: "application/json" };
  server.registerResource("state", template, metadata, async (uri, { key }) => {
    const text = await readState(chat, decodeURIComponent(String(key)));
    if (text === null) throw new ResourceNotFoundError(uri.href);
    return { contents: [{ uri: uri.href, mimeType: "application/json", text }] };
  });
}

async function readState(chat: Chat, key: string): Promise<string | null> {
  const found = await (await linkOf(chat))?.call("state.get", { key }, callTimeoutMs);
  if (!found) throw new Error("this chat is not in the team yet; try again in a few seconds");
  if (!found.ok) throw new Error(`${found.error.code}: ${found.error.message}`);
  return found.value.entry ? JSON.stringify(found.value.entry, null, 1) : null;
}

/** The client's list has other resources too, so an unreachable coordinator is no error. */
async function listState(chat: Chat): Promise<{ name: string; uri: string }[]> {
  const found = await (await linkOf(chat))?.call("state.list", { limit: maxListedKeys }, callTimeoutMs);
  if (!found?.ok) return [];
  return found.value.entries.map(({ key }) => ({ name: key, uri: `${statePrefix}${encodeURIComponent(key)}` }));
}

async function linkOf(chat: Chat): Promise<CoordinatorClient | undefined> {
  return (await chat.team?.reader())?.link;
}
