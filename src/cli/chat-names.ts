import { oneLine } from "../shared/format.ts";
import { stateText, workProgress, type ShownState } from "../contract/chat-state.ts";
import type { Chat } from "../contract/chats.ts";
import { readEdgeConfig } from "../coordinator-client/edge-config.ts";
import { localWorkspace } from "../coordinator-client/open-link.ts";
import { readChatState } from "../local-mcp/recovery/session-state.ts";
import type { Runtime } from "../runtime/runtime.ts";
import * as sessions from "../local-mcp/sessions/sessions.ts";
import { createNaming, folderOf, type Naming } from "../local-mcp/team/chat-naming.ts";
import { ok } from "../shared/result.ts";
import { shortIds } from "../shared/short-id.ts";
import { ambiguous, notFound, type CliResult } from "./answer.ts";
import type { Cli } from "./cli.ts";
import type { Workspace } from "../local-mcp/host/host.ts";
import { commandLine } from "../contract/command-line-chat.ts";

export class ChatNames {
  readonly #runtime: Runtime;
  readonly #naming: Naming;
  readonly short: (chat: string) => string;

  private constructor(runtime: Runtime, naming: Naming, chats: readonly Chat[]) {
    this.#runtime = runtime;
    this.#naming = naming;
    this.short = shortIds(chats.map(({ chat }) => chat));
  }

  static async load(cli: Cli, link: Workspace, chats: readonly Chat[]): Promise<ChatNames> {
    const runtime = await cli.runtime();
    const edge = readEdgeConfig(cli.paths.home, cli.io.env);
    const joined = edge.ok ? edge.value : null;
    const workspace = joined?.workspace ?? localWorkspace;
    return new ChatNames(runtime, createNaming(runtime, { workspace, machine: link.machine, edge: joined }), chats);
  }

  show(chat: Chat): ShownChat {
    return showChat(this.#runtime, chat);
  }

  list(chat: Chat): ListedChat {
    const { chat: id } = chat;
    return { ...this.show(chat), shortId: this.short(id), title: this.title(chat), project: this.project(chat) };
  }

  title(chat: Pick<Chat, "chat" | "client" | "machine" | "metadata">): string | null {
    if (chat.client === commandLine) return "(the command line)";
    const session = this.#session(chat);
    return (session && sessions.displayTitle(session)) ?? this.#naming.titleOf(chat);
  }

  /** @returns the root of its project; null where this machine does not know it */
  project(chat: Pick<Chat, "chat" | "metadata">): string | null {
    return this.#session(chat)?.project ?? folderOf(chat.metadata["checkout"]);
  }

  #session({ chat }: Pick<Chat, "chat">): sessions.Session | null {
    return this.#runtime.store.read((sql) => sessions.get(sql, chat), null);
  }
}

export function allChats(link: Workspace): Promise<CliResult<readonly Chat[]>> {
  return link.list("chats.list", {}).then((listed) => (listed.ok ? ok(listed.value.chats) : listed));
}

/** [CL181] @returns short id and title of a chat; the whole id of one that is not known any more */
export async function chatLabels(cli: Cli, link: Workspace): Promise<(chat: string) => string> {
  const listed = await allChats(link);
  const chats = listed.ok ? listed.value : [];
  const names = await ChatNames.load(cli, link, chats);
  const known = new Map(chats.map((one) => [one.chat, one]));
  return (id) => {
    const chat = known.get(id);
    return chat ? `${names.short(id)} ${oneLine(names.title(chat) ?? chat.client, 40)}` : id;
  };
}

/**
 * [CL79] [CL252] Resolves a prefix of a chat id, else a title or its start; the coordinator answers
 * for an unknown one.
 */
export async function findChat(cli: Cli, link: Workspace, idOrPrefix: string): Promise<CliResult<string>> {
  const chats = await allChats(link);
  if (!chats.ok) return chats;
  if (chats.value.some(({ chat }) => chat === idOrPrefix)) return ok(idOrPrefix);
  const names = await ChatNames.load(cli, link, chats.value);
  const withPrefix = chats.value.filter(({ chat }) => chat.startsWith(idOrPrefix));
  const matching = withPrefix.length > 0 ? withPrefix : findTitled(chats.value, names, idOrPrefix);
  const [first, second] = matching;
  // No id has a blank.
  if (!first && /\s/.test(idOrPrefix))
    return notFound(`no chat has the title "${idOrPrefix}". \`shim team chats\` lists them.`);
  if (!second) return ok(first?.chat ?? idOrPrefix);
  const lines = matching
    .slice(0, maxCandidates)
    .map(
      (one) =>
        `\n  ${names.short(one.chat)}  ${stateText(names.show(one))}  ${oneLine(names.title(one) ?? one.client, 60)}`,
    );
  return ambiguous(
    `"${idOrPrefix}" matches several chats; give more of the id:${lines.join("")}`,
    matching.map(({ chat }) => chat),
  );
}

/** Chats of this title, else those whose title begins so, in any case of the letters. */
function findTitled(chats: readonly Chat[], names: ChatNames, given: string): Chat[] {
  const text = given.trim().toLowerCase();
  const titled = chats.map((chat) => ({ chat, title: names.title(chat)?.toLowerCase() ?? "" }));
  const whole = titled.filter(({ title }) => title === text);
  const found = whole.length > 0 ? whole : titled.filter(({ title }) => text !== "" && title.startsWith(text));
  return found.map(({ chat }) => chat);
}

const maxCandidates = 8;

/** A chat with its state in place of what its coordinator calls it. */
export interface ShownChat extends Omit<Chat, "status" | "reason" | "isRecoverable">, ShownState {}

export interface ListedChat extends ShownChat {
  readonly shortId: string;
  readonly title: string | null;
  /** Root of its project; null where this machine does not know it. */
  readonly project: string | null;
}

export function showChat(runtime: Runtime, chat: Chat): ShownChat {
  const { status: _status, reason: _reason, isRecoverable: _isRecoverable, ...rest } = chat;
  return { ...rest, progress: workProgress(chat), ...readChatState(runtime, chat) };
}

/** A session's process may have ended before the coordinator notices it. */
export function isPresent({ state }: ShownState): boolean {
  return state !== "died" && state !== "ended";
}
