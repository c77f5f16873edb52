import type { Command } from "commander";
import { ChatStatus, type Chat } from "../../contract/chats.ts";
import { ok } from "../../shared/result.ts";
import { age } from "../../local-mcp/recovery/brief.ts";
import { wrongUsage } from "../answer.ts";
import { ChatNames } from "../chat-names.ts";
import { chatStatusText } from "../chat-status.ts";
import { type Cli, type Common, type Outcome } from "../cli.ts";
import { withLink, type Coordination } from "../coordination.ts";
import { pages, rest, withPageOptions, type PageOptions } from "../pages.ts";
import { many, oneLine, shortPath, table } from "../screen-text.ts";

interface ChatsOptions extends Common, PageOptions {
  readonly status?: string;
  readonly all?: boolean;
}

const mostInPage = 200;

export function addChats(program: Command, cli: Cli): void {
  const command = program
    .command("chats")
    .description("chats of the workspace, or of this machine")
    .option("--all", "also those that are offline")
    .option("--status <status>", "idle, busy, stuck, draining or offline");
  withPageOptions(command, mostInPage);
  cli.define(command, (options: ChatsOptions) => withLink(cli, (link) => listChats(cli, link, options)));
}

async function listChats(cli: Cli, link: Coordination, options: ChatsOptions): Promise<Outcome> {
  const { status, all, limit, cursor } = options;
  const wanted = ChatStatus.optional().safeParse(status);
  if (!wanted.success) return wrongUsage(`"${status}" is no status: idle, busy, stuck, draining or offline.`);
  const filter = wanted.data === undefined ? {} : { status: wanted.data };
  const listed = await pages({ limit, cursor, most: mostInPage }, "chats", (page) =>
    link.call("chats.list", { ...page, ...filter }),
  );
  if (!listed.ok) return listed;
  const { chats } = listed.value;
  const isAll = all === true || status !== undefined;
  const shown = isAll ? chats : chats.filter((one) => one.status !== "offline");
  const names = await ChatNames.of(cli, link, chats);
  const hidden = chats.length - shown.length;
  const none = hidden === 0 ? `No chats at ${link.where}.\n` : "No chat is online.\n";
  const listing = shown.length === 0 ? none : tableOf(cli, names, shown);
  const text = `${listing}${hiddenText(hidden)}${rest(listed.value.cursor)}`;
  return ok({ data: { ...listed.value, chats: shown.map((one) => titled(names, one)) }, text });
}

function titled(names: ChatNames, chat: Chat): Chat & { readonly title: string | null } {
  return { ...chat, title: names.title(chat) };
}

function tableOf(cli: Cli, names: ChatNames, chats: readonly Chat[]): string {
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
  return hidden === 0 ? "" : `${many(hidden, "chat")} offline: \`shim chats --all\`\n`;
}
