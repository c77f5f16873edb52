import type { Command } from "commander";
import { ChatStatus, type Chat } from "../../../contract/chats.ts";
import { ok } from "../../../shared/result.ts";
import { age } from "../../../shared/format.ts";
import { wrongUsage } from "../../answer.ts";
import { ChatNames } from "./chat-names.ts";
import { chatStatusText } from "./chat-status.ts";
import { type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import { withLink, type CoordinatorLink } from "../../coordinator-link.ts";
import { fetchPages, moreText, withPageOptions, type PageOptions } from "../../fetch-pages.ts";
import { pluralize, oneLine, shortPath, table } from "../../screen-text.ts";

interface ChatsOptions extends CommonOptions, PageOptions {
  readonly status?: string;
  readonly all?: boolean;
}

const maxPerPage = 200;

export function addChats(program: Command, cli: Cli): void {
  const command = program
    .command("chats")
    .description("chats of the workspace, or of this machine")
    .option("--all", "also those that are offline")
    .option("--status <status>", "idle, busy, stuck, draining or offline");
  withPageOptions(command, maxPerPage);
  cli.define(command, (options: ChatsOptions) => withLink(cli, (link) => listChats(cli, link, options)));
}

async function listChats(cli: Cli, link: CoordinatorLink, options: ChatsOptions): Promise<CommandResult> {
  const { status, all, limit, cursor } = options;
  const parsedStatus = ChatStatus.optional().safeParse(status);
  if (!parsedStatus.success) return wrongUsage(`"${status}" is no status: idle, busy, stuck, draining or offline.`);
  const filter = parsedStatus.data === undefined ? {} : { status: parsedStatus.data };
  const chatsResult = await fetchPages({ limit, cursor, maxPerPage }, "chats", (page) =>
    link.call("chats.list", { ...page, ...filter }),
  );
  if (!chatsResult.ok) return chatsResult;
  const { chats } = chatsResult.value;
  const isAll = all === true || status !== undefined;
  const visibleChats = isAll ? chats : chats.filter((one) => one.status !== "offline");
  const names = await ChatNames.load(cli, link, chats);
  const hidden = chats.length - visibleChats.length;
  const emptyText = hidden === 0 ? `No chats at ${link.where}.\n` : "No chat is online.\n";
  const listing = visibleChats.length === 0 ? emptyText : chatTable(cli, names, visibleChats);
  const text = `${listing}${hiddenText(hidden)}${moreText(chatsResult.value.cursor)}`;
  return ok({ data: { ...chatsResult.value, chats: visibleChats.map((one) => withTitle(names, one)) }, text });
}

function withTitle(names: ChatNames, chat: Chat): Chat & { readonly title: string | null } {
  return { ...chat, title: names.title(chat) };
}

function chatTable(cli: Cli, names: ChatNames, chats: readonly Chat[]): string {
  const home = cli.io.env["HOME"] ?? "";
  const rows = chats.map((one) => [
    names.short(one.chat),
    chatStatusText(one),
    oneLine(names.title(one) ?? one.client, 40),
    shortPath(names.project(one) ?? "-", home),
    one.machine,
    `${age(one.lastSeenAgeMs)} ago`,
    `${one.taskCount}/${one.capacity}`,
    oneLine(one.capabilities.join(", ") || "-", 30),
    oneLine(one.progress ?? "-", 50),
  ]);
  return table(
    [["CHAT", "STATUS", "TITLE", "PROJECT", "MACHINE", "SEEN", "TASKS", "CAN", "PROGRESS"], ...rows],
    cli.io.size().columns,
  );
}

function hiddenText(hidden: number): string {
  return hidden === 0 ? "" : `${pluralize(hidden, "chat")} offline: \`shim chats --all\`\n`;
}
