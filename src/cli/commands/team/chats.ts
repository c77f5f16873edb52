import type { Command } from "commander";
import { stateWords } from "../../../contract/chat-state.ts";
import type { ListedChat } from "../../../contract/machine/team.ts";
import { age, oneLine, pluralize } from "../../../shared/format.ts";
import type { Cli, Columns } from "../../cli.ts";
import { defineOperation } from "../../operation-command.ts";
import { shortPath } from "../../screen-text.ts";

export function addCommand(program: Command, cli: Cli): void {
  defineOperation(cli, program, "chats", {
    operation: "team.chats",
    view: ({ where, chats, hidden }, { io }, { state }) => {
      const ofState = `No chat at ${where}: ${state && stateWords[state]}.\n`;
      const ofAny = hidden === 0 ? `No chats at ${where}.\n` : "No chat is present.\n";
      const shown = cli.table(chats, columns(io.env["HOME"] ?? ""), state === undefined ? ofAny : ofState);
      const absent = `${pluralize(hidden, "chat")} died or ended: \`shim team chats --all\`\n`;
      return hidden === 0 ? shown : shown + absent;
    },
  });
}

function columns(home: string): Columns<ListedChat> {
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
