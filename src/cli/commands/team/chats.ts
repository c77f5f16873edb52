import type { Command } from "commander";
import * as z from "zod";
import { chatStates, stateWords, type ChatState } from "../../../contract/chat-state.ts";
import { ok } from "../../../shared/result.ts";
import { age, pluralize, oneLine } from "../../../shared/format.ts";
import { ChatNames, isPresent, type ShownChat } from "./chat-names.ts";
import { enumOption, type Cli, type Columns, type CommonOptions, type CommandResult } from "../../cli.ts";
import { withLink, type CoordinatorLink } from "../../coordinator-link.ts";
import { fetchPages, type PageOptions } from "../../../coordinator-client/fetch-pages.ts";
import { moreText, withPageOptions } from "../../list-command.ts";
import { shortPath } from "../../screen-text.ts";

interface ChatsOptions extends CommonOptions, PageOptions {
  readonly state?: ChatState;
  readonly all?: boolean;
}

export function addChats(program: Command, cli: Cli): void {
  const command = program
    .command("chats")
    .description("chats of the workspace, or of this machine")
    .option("--all", "also those that died or ended")
    .addOption(enumOption("--state <state>", z.enum(chatStates)));
  withPageOptions(command, "chats.list");
  cli.define(command, (options: ChatsOptions) => withLink(cli, (link) => listChats(cli, link, options)));
}

async function listChats(cli: Cli, link: CoordinatorLink, options: ChatsOptions): Promise<CommandResult> {
  const { state, all } = options;
  const chatsResult = await fetchPages(link, "chats.list", {}, options);
  if (!chatsResult.ok) return chatsResult;
  const names = await ChatNames.load(cli, link, chatsResult.value.chats);
  const shown = chatsResult.value.chats.map((one) => ({ ...names.show(one), title: names.title(one) }));
  const isVisible = (one: ShownChat): boolean =>
    state === undefined ? all === true || isPresent(one) : one.state === state;
  const visible = shown.filter(isVisible);
  const hidden = state === undefined ? shown.length - visible.length : 0;
  const text = `${cli.table(visible, chatColumns(cli, names), emptyText(link, options, hidden))}${hiddenText(hidden)}${moreText(chatsResult.value.cursor)}`;
  return ok({ data: { ...chatsResult.value, chats: visible }, text });
}

function emptyText({ where }: CoordinatorLink, { state }: ChatsOptions, hidden: number): string {
  if (state !== undefined) return `No chat at ${where}: ${stateWords[state]}.\n`;
  return hidden === 0 ? `No chats at ${where}.\n` : "No chat is present.\n";
}

function chatColumns({ io }: Cli, names: ChatNames): Columns<ShownChat> {
  const home = io.env["HOME"] ?? "";
  return {
    CHAT: ({ chat }) => names.short(chat),
    STATE: ({ state }) => stateWords[state],
    DETAIL: ({ detail }) => detail ?? "-",
    TITLE: (chat) => oneLine(names.title(chat) ?? chat.client, 40),
    PROJECT: (chat) => shortPath(names.project(chat) ?? "-", home),
    MACHINE: ({ machine }) => machine,
    SEEN: ({ lastSeenAgeMs }) => `${age(lastSeenAgeMs)} ago`,
    TASKS: ({ taskCount, capacity }) => `${taskCount}/${capacity}`,
    CAN: ({ capabilities }) => oneLine(capabilities.join(", ") || "-", 30),
    PROGRESS: ({ progress }) => oneLine(progress ?? "-", 50),
  };
}

function hiddenText(hidden: number): string {
  return hidden === 0 ? "" : `${pluralize(hidden, "chat")} died or ended: \`shim team chats --all\`\n`;
}
