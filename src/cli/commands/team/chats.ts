import { Option, type Command } from "commander";
import * as z from "zod";
import { chatStates, stateWords, type ChatState } from "../../../contract/chat-state.ts";
import { age, oneLine, pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import type { CliResult } from "../../answer.ts";
import { enumOption, type Cli, type Columns } from "../../cli.ts";
import { shortPath } from "../../screen-text.ts";
import { defineWork, type Work } from "../../workspace-command.ts";
import { ChatNames, isPresent, type ListedChat } from "../../chat-names.ts";

interface Listed {
  readonly chats: readonly ListedChat[];
  readonly cursor: string | null;
  /** Number of those that died or ended, and are left out. */
  readonly hidden: number;
}

export function addChats(program: Command, cli: Cli): void {
  defineWork(cli, program, "chats", {
    operation: "chats.list",
    hidden: ["status", "role", "machine", "capability"],
    summary: "Chats of the workspace, or of this machine.",
    own: [new Option("--all", "also those that died or ended"), enumOption("--state <state>", z.enum(chatStates))],
    run: listChats,
    view: ({ chats, hidden }, _cli, { link: { where }, options }) =>
      cli.table(chats, chatColumns(cli.io.env["HOME"] ?? ""), emptyText(where, options["state"], hidden)) +
      hiddenText(hidden),
  });
}

async function listChats({ cli, link, call, options }: Work<"chats.list">): Promise<CliResult<Listed>> {
  const found = await call();
  if (!found.ok) return found;
  const { chats, cursor } = found.value;
  const names = await ChatNames.load(cli, link, chats);
  const shown = chats.map((one) => names.list(one));
  const { state, all } = options;
  const visible = shown.filter((one) => (state === undefined ? all === true || isPresent(one) : one.state === state));
  return ok({ chats: visible, cursor, hidden: state === undefined ? shown.length - visible.length : 0 });
}

function emptyText(where: string, state: unknown, hidden: number): string {
  if (state !== undefined) return `No chat at ${where}: ${stateWords[state as ChatState]}.\n`;
  return hidden === 0 ? `No chats at ${where}.\n` : "No chat is present.\n";
}

function chatColumns(home: string): Columns<ListedChat> {
  return {
    CHAT: ({ shortId }) => shortId,
    STATE: ({ state }) => stateWords[state],
    DETAIL: ({ detail }) => detail ?? "-",
    TITLE: ({ title, client }) => oneLine(title ?? client, 40),
    PROJECT: ({ project }) => shortPath(project ?? "-", home),
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
