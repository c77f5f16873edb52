import type { Command } from "commander";
import type { MachineOutput } from "../../../contract/machine/operations.ts";
import type { SyncState, SyncStatus } from "../../../contract/machine/workspaces.ts";
import { pluralize } from "../../../shared/format.ts";
import { exitCodes } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import { defineOperation } from "../../operation-command.ts";
import { linesView } from "../../views.ts";

/** [SY77] */
export function addStatus(join: Command, cli: Cli): void {
  defineOperation(cli, join, "status", {
    operation: "workspace.status",
    view: linesView((status) => [coordinatorLine(status), ...(status.sync ? syncLines(cli, status.sync) : [])]),
    exitOf: ({ unreachable }) => (unreachable === undefined ? exitCodes.ok : exitCodes.failed),
  });
}

function coordinatorLine(status: MachineOutput<"workspace.status">): string {
  const { where, unreachable, chats = 0, revision = 0, overdueRows = 0, sockets = 0, storage } = status;
  if (unreachable !== undefined) return `Coordinator: ${where}, which does not answer: ${unreachable}`;
  const late =
    overdueRows > 0
      ? `, late with ${pluralize(overdueRows, "change")} that ${overdueRows === 1 ? "is" : "are"} due`
      : "";
  const full = storage?.state === "full" ? ", its storage is full: delete what is not needed" : "";
  return `Coordinator: ${where}; ${pluralize(chats, "chat")}, revision ${revision}, ${pluralize(sockets, "connection")}${late}${full}.`;
}

function syncLines(cli: Cli, { key, problem, sendsFiles, status }: SyncState): string[] {
  if (problem !== null) return [`Not synced: ${problem}`];
  if (status === null) return [`Key ${key}. Nothing is synced yet: \`shim join sync\`, or the next chat.`];
  const { device, keyId, backlog, oldestAt, notes, files } = status;
  const oldest = backlog > 0 && oldestAt !== null ? `, the oldest ${cli.ago(oldestAt)}` : "";
  const synced = notes.syncedAt === undefined ? "never" : cli.ago(notes.syncedAt);
  const other = keyId !== "" && keyId !== key ? ` (what was sent is sealed under ${keyId})` : "";
  return [
    `Device ${device}, key ${key}${other}.`,
    `Synced: ${synced}; ${pluralize(backlog, "change")} ${backlog === 1 ? "waits" : "wait"}${oldest}.`,
    notes.trouble ? `Last problem, ${cli.ago(notes.trouble.at)}: ${notes.trouble.message}` : [],
    notes.refused ? `${notes.refused} envelopes of other machines were refused; shim.log names them.` : [],
    notes.passedOver ? `${notes.passedOver} older checkpoints were skipped, and are here only.` : [],
    notes.keptHere ? `${notes.keptHere} checkpoints could not be sent, and are here only.` : [],
    filesLine(sendsFiles, files),
  ].flat();
}

function filesLine(sendsFiles: boolean, { sessions, bytes, notSent, reason }: SyncStatus["files"]): string | [] {
  const sent =
    sessions > 0
      ? `those of ${pluralize(sessions, "session")} are stored there (${bytes} bytes)`
      : "none are stored there";
  const problem = notSent > 0 ? `; the newest of ${pluralize(notSent, "session")} are here only: ${reason}` : "";
  if (sendsFiles) return `Uncommitted files: ${sent}${problem}.`;
  return sessions > 0 ? `Uncommitted files are not sent any more; ${sent}.` : [];
}
