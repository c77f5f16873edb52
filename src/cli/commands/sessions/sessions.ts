import type { Command } from "commander";
import { clientTitle } from "../../../clients/client-title.ts";
import { stateWords } from "../../../contract/chat-state.ts";
import type { MachineInput, MachineOutput } from "../../../contract/machine/operations.ts";
import type { ElsewhereView, SessionView } from "../../../contract/machine/sessions.ts";
import { oneLine } from "../../../shared/format.ts";
import type { Cli, Columns } from "../../cli.ts";
import { defineOperation } from "../../operation-command.ts";
import { shortPath } from "../../screen-text.ts";

export function addCommand(program: Command, cli: Cli): Command {
  return defineOperation(cli, program, "sessions", { operation: "sessions.list", view: listView });
}

type Listed = MachineOutput<"sessions.list">;

function listView(
  { sessions, project, elsewhere }: Listed,
  cli: Cli,
  { incomplete = false, allMachines = false }: MachineInput<"sessions.list">,
): string {
  const own = cli.table(sessions, columnsOf(cli), noneText(incomplete, project, allMachines));
  return allMachines ? `${own}\n${othersText(cli, elsewhere)}` : own;
}

/** [CL88] Names this machine when other machines are in the same answer. */
function noneText(isIncomplete: boolean, root: string | null, isOfMany: boolean): string {
  const title = isIncomplete ? "No session died unfinished" : "No sessions";
  return `${title}${root === null ? "" : ` in ${root}`}${isOfMany ? " on this machine" : ""}.\n`;
}

function othersText(cli: Cli, elsewhere: Listed["elsewhere"]): string {
  if (elsewhere === null)
    return "Other machines: none. This machine has not joined a workspace, or has no key of it (`shim join status`).\n";
  if (elsewhere.length === 0) return "Other machines: none.\n";
  return `Other machines:\n${cli.table(elsewhere, elsewhereColumns(cli))}`;
}

type Times = Pick<SessionView, "lastSeenAt" | "savedAt">;

function timesOf(cli: Cli): Columns<Times> {
  return {
    SEEN: ({ lastSeenAt }) => cli.ago(lastSeenAt),
    SAVED: ({ savedAt }) => (savedAt === null ? "never" : cli.ago(savedAt)),
  };
}

const stateColumns: Columns<Pick<SessionView, "shortId" | "state" | "detail">> = {
  ID: ({ shortId }) => shortId,
  STATE: ({ state }) => stateWords[state],
  DETAIL: ({ detail }) => detail ?? "-",
};

function columnsOf(cli: Cli): Columns<SessionView> {
  const home = cli.io.env["HOME"] ?? "";
  return {
    ...stateColumns,
    CLIENT: clientTitle,
    ...timesOf(cli),
    CHECKPOINTS: ({ checkpoints }) => String(checkpoints),
    PROJECT: ({ project }) => shortPath(project ?? "-", home),
    TITLE: ({ title }) => oneLine(title ?? "-", 60),
  };
}

function elsewhereColumns(cli: Cli): Columns<ElsewhereView> {
  return {
    ...stateColumns,
    ...timesOf(cli),
    CHECKPOINTS: ({ checkpoints }) => String(checkpoints),
    MACHINE: ({ machine }) => machine,
    "PROJECT THERE": ({ project }) => oneLine(project ?? "-", 40),
    TITLE: ({ title }) => oneLine(title ?? "-", 50),
  };
}
