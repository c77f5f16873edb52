import {
  type McpServer,
  ResourceNotFoundError,
  ResourceTemplate,
  ProtocolError,
  ProtocolErrorCode,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import { currentState } from "../checkpoints/capture.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Chat } from "../chat/chat.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import type { Sql } from "../../shared/sql.ts";
import { brief } from "../recovery/brief.ts";
import { findIncomplete, searchFor } from "../recovery/detect.ts";
import { restore, type Restoration } from "../recovery/restoration.ts";
import { findStoredSession } from "../sessions/short-ids.ts";
import { othersOfApp } from "../chat/other-chats.ts";

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

const name = "resume";
const title = "Continue an earlier chat";

/**
 * [DX13] Claude Desktop refuses a prompt of an extension that differs from the text in its manifest
 * (modelcontextprotocol/mcpb#301), so there the user asks, and the tool brings the brief.
 */
export const promptOfExtension = {
  name,
  description: "Asks SHIM for the chat that ended last, and continues its work",
  text: "Please continue the work of my earlier chat. Call the tool shim_check_recovery with start true. If it brings the brief of a chat that ended, call it again with take true, summarize for me in one sentence what that chat was doing, and continue with its next step. If it brings none, show me the other chats that it names, and ask me which of them to continue.",
} as const;

export function registerResumePrompt(server: McpServer, chat: Chat, isExtension: boolean): void {
  if (isExtension) {
    const { description, text } = promptOfExtension;
    server.registerPrompt(name, { title, description }, () => fromUser(text));
    return;
  }
  const description = "The brief of a chat that died, for this chat to continue";
  const session = z.string().max(200).optional().describe("Its id or the beginning of it; empty: the newest that died");
  server.registerPrompt(name, { title, description, argsSchema: z.object({ session }) }, (given) =>
    fromUser(resumeText(chat, given.session?.trim() ?? "")),
  );
}

function fromUser(text: string) {
  return { messages: [{ role: "user" as const, content: { type: "text" as const, text } }] };
}

/** [MC29] Reads alone: a client may ask for a prompt to show it. */
function resumeText(chat: Chat, given: string): string {
  const { runtime } = chat;
  const session = given === "" ? newest(chat) : named(chat, given);
  const from = session && restore(runtime, session);
  if (!from) throw refusal("There is nothing to continue: SHIM knows of no chat that died unfinished.");
  const text = `Continue this work. ${claimOf(from)}\n\n${brief(from, runtime.now(), "resume")}`;
  return withShimCommand(text, () => shimCommand(runtime));
}

/** Makes this chat the successor: the prompt itself has taken nothing. */
function claimOf({ session, cause }: Restoration): string {
  if (cause === null) return `Pass "${session.id}" as session in each call of SHIM's tools.`;
  return `First call shim_check_recovery (of "${session.id}", take true), so that no other chat is offered it.`;
}

function named({ runtime }: Chat, given: string): sessions.Session {
  const found = findStoredSession(runtime, given);
  if (!found.ok) throw refusal(found.error.message);
  if (!found.value) throw refusal(`SHIM knows no session "${given}". Leave it empty for the newest that died.`);
  return found.value;
}

/** The one that this chat was offered, of its project, or any; else what the app's chats saved. */
function newest(chat: Chat): sessions.Session | null {
  const { store, processes } = chat.runtime;
  const current = chat.current();
  const find = (sql: Sql, search: object): sessions.Session | undefined => {
    const except = current === null ? {} : { except: current };
    return findIncomplete(sql, processes, chat.runtime.now(), { ...search, ...except, limit: 1 })[0]?.session;
  };
  const dead = store.read((sql) => {
    const session = current === null ? null : sessions.get(sql, current);
    const [offered] = session ? sessions.listOfferedTo(sql, session.id) : [];
    return offered ?? (session && find(sql, searchFor(session))) ?? find(sql, {}) ?? null;
  }, null);
  return dead ?? othersOfApp(chat, null)[0] ?? null;
}

function refusal(message: string): ProtocolError {
  return new ProtocolError(ProtocolErrorCode.InvalidParams, message);
}
