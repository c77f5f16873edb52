import { type McpServer, ProtocolError, ProtocolErrorCode } from "@modelcontextprotocol/server";
import * as z from "zod";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import type { Sql } from "../../shared/sql.ts";
import { brief } from "../recovery/brief.ts";
import { findIncomplete, searchFor } from "../recovery/detect.ts";
import { restore, type Restoration } from "../recovery/restoration.ts";
import { findSessionArgument } from "../sessions/session-prefix.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Chat } from "./chat/chat.ts";
import { othersOfApp } from "./chat/other-chats.ts";

export const resumePrompt = {
  name: "resume",
  title: "Continue an earlier chat",
  description: "What a chat that died was doing and what comes next, for this chat to continue",
  argument: { name: "session", description: "Its id or the beginning of it; without it the newest that died" },
} as const;

export function registerResumePrompt(server: McpServer, chat: Chat): void {
  const { name, title, description, argument } = resumePrompt;
  const argsSchema = z.object({ session: z.string().max(200).optional().describe(argument.description) });
  server.registerPrompt(name, { title, description, argsSchema }, ({ session }) => {
    const text = resumeText(chat, session?.trim() ?? "");
    return { messages: [{ role: "user", content: { type: "text", text } }] };
  });
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
  const found = runtime.store.read((sql) => findSessionArgument(sql, given), null);
  if (found?.ok === false) throw refusal(found.error.message);
  if (!found?.value) throw refusal(`SHIM knows no session "${given}". Leave it empty for the newest that died.`);
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
