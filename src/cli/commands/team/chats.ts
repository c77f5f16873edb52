import type { Command } from "commander";
import { ChatStatus, type Chat } from "../../../contract/chats.ts";
import { ok } from "../../../shared/result.ts";
import { age } from "../../../shared/format.ts";
import { ChatNames, chatStatusText } from "./chat-names.ts";
import { enumOption, type Cli, type Columns, type CommonOptions, type CommandResult } from "../../cli.ts";
import { withLink, type CoordinatorLink } from "../../coordinator-link.ts";
import { fetchPages, type PageOptions } from "../../../coordinator-client/fetch-pages.ts";
import { moreText, withPageOptions } from "../../list-command.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { pluralize, oneLine, shortPath } from "../../screen-text.ts";

interface ChatsOptions extends CommonOptions, PageOptions {
  readonly status?: ChatStatus;
  readonly all?: boolean;
}

export function addChats(program: Command, cli: Cli): void {
  const command = program
    .command("chats")
    .description("chats of the workspace, or of this machine")
    .option("--all", "also those that are offline")
    .addOption(enumOption("--status <status>", ChatStatus));
  withPageOptions(command, "chats.list");
  cli.define(command, (options: ChatsOptions) => withLink(cli, (link) => listChats(cli, link, options)));
}

async function listChats(cli: Cli, link: CoordinatorLink, options: ChatsOptions): Promise<CommandResult> {
  const { status, all } = options;
  const chatsResult = await fetchPages(link, "chats.list", omitUndefined({ status }), options);
  if (!chatsResult.ok) return chatsResult;
  const { chats } = chatsResult.value;
  const isAll = all === true || status !== undefined;
  const visibleChats = isAll ? chats : chats.filter((one) => one.status !== "offline");
  const names = await ChatNames.load(cli, link, chats);
  const hidden = chats.length - visibleChats.length;
  const emptyText = hidden === 0 ? `No chats at ${link.where}.\n` : "No chat is online.\n";
  const text = `${cli.table(visibleChats, chatColumns(cli, names), emptyText)}${hiddenText(hidden)}${moreText(chatsResult.value.cursor)}`;
  return ok({
    data: { ...chatsResult.value, chats: visibleChats.map((one) => withTitle(names, one)) },
    text,
  });
}

function withTitle(names: ChatNames, chat: Chat): Chat & { readonly title: string | null } {
  return { ...chat, title: names.title(chat) };
}

function chatColumns({ io }: Cli, names: ChatNames): Columns<Chat> {
  const home = io.env["HOME"] ?? "";
  return {
    CHAT: ({ chat }) => names.short(chat),
    STATUS: chatStatusText,
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
  return hidden === 0 ? "" : `${pluralize(hidden, "chat")} offline: \`shim chats --all\`\n`;
}
