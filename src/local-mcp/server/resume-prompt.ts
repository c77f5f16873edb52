import { type McpServer, ProtocolError, ProtocolErrorCode } from "@modelcontextprotocol/server";
import * as z from "zod";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import type { Sql } from "../../shared/sql.ts";
import { brief } from "../recovery/brief.ts";
import { findIncomplete, searchFor } from "../recovery/detect.ts";
import { restore, type Restoration } from "../recovery/restoration.ts";
import { findStoredSession } from "../sessions/short-ids.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Chat } from "../chat/chat.ts";
import { othersOfApp } from "../chat/other-chats.ts";

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
