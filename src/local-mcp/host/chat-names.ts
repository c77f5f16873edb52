import { stateText, workProgress, type ShownState } from "../../contract/chat-state.ts";
import type { Chat } from "../../contract/chats.ts";
import { commandLine } from "../../contract/command-line-chat.ts";
import type { ListedChat, ShownChat } from "../../contract/machine/team.ts";
import { localWorkspace, readEdgeConfig } from "../../coordinator-client/edge-config.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { oneLine } from "../../shared/format.ts";
import { err, ok } from "../../shared/result.ts";
import { shortIds } from "../../contract/short-id.ts";
import { readChatState } from "../recovery/session-state.ts";
import * as sessions from "../sessions/sessions.ts";
import { createNaming, folderOf } from "../team/chat-naming.ts";
import type { HostResult } from "./host.ts";

/** @param chats all of the workspace, among which a short id is unique */
export function listChats(runtime: Runtime, machine: string, chats: readonly Chat[]): ListedChat[] {
  const edge = readEdgeConfig(runtime.paths.home, runtime.env);
  const joined = edge.ok ? edge.value : null;
  const naming = createNaming(runtime, { workspace: joined?.workspace ?? localWorkspace, machine, edge: joined });
  const short = shortIds(chats.map(({ chat }) => chat));
  return chats.map((chat) => {
    const session = runtime.store.read((sql) => sessions.get(sql, chat.chat), null);
    const title = (session && sessions.displayTitle(session)) ?? naming.titleOf(chat);
    return {
      ...showChat(runtime, chat),
      shortId: short(chat.chat),
      title: chat.client === commandLine ? "(the command line)" : title,
      project: session?.project ?? folderOf(chat.metadata["checkout"]),
    };
  });
}

export function showChat(runtime: Runtime, chat: Chat): ShownChat {
  const { status: _status, reason: _reason, isRecoverable: _isRecoverable, ...rest } = chat;
  return { ...rest, progress: workProgress(chat), ...readChatState(runtime, chat) };
}

/** A session's process may have ended before the coordinator notices it. */
export function isPresent({ state }: ShownState): boolean {
  return state !== "died" && state !== "ended";
}

const maxCandidates = 8;

/**
 * [CL79] [CL252] Resolves a prefix of a chat id, else a title or its start; the coordinator answers
 * for an unknown one.
 */
export function findChat(chats: readonly ListedChat[], text: string): HostResult<string> {
  if (chats.some(({ chat }) => chat === text)) return ok(text);
  const withPrefix = chats.filter(({ chat }) => chat.startsWith(text));
  const matching = withPrefix.length > 0 ? withPrefix : findTitled(chats, text);
  const [first, second] = matching;
  // No id has a blank.
  if (!first && /\s/.test(text))
    return err({ code: "not_found", message: `no chat has the title "${text}". \`shim team chats\` lists them.` });
  if (!second) return ok(first?.chat ?? text);
  const lines = matching
    .slice(0, maxCandidates)
    .map((one) => `\n  ${one.shortId}  ${stateText(one)}  ${oneLine(one.title ?? one.client, 60)}`);
  const message = `"${text}" matches several chats; give more of the id:${lines.join("")}`;
  return err({ code: "ambiguous", message, candidates: matching.map(({ chat }) => chat) });
}

/** Chats of this title, else those whose title begins so, in any case of the letters. */
function findTitled(chats: readonly ListedChat[], given: string): ListedChat[] {
  const text = given.trim().toLowerCase();
  const titled = chats.map((chat) => ({ chat, title: chat.title?.toLowerCase() ?? "" }));
  const whole = titled.filter(({ title }) => title === text);
  const found = whole.length > 0 ? whole : titled.filter(({ title }) => text !== "" && title.startsWith(text));
  return found.map(({ chat }) => chat);
}
