import type { MachineOutput } from "../../../contract/machine/operations.ts";
import type { SyncState } from "../../../contract/machine/workspaces.ts";
import { pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import type { Cli, CommandResult } from "../../cli.ts";

/** [SY77] */
export async function status(cli: Cli): Promise<CommandResult> {
  const answer = await cli.call("workspace.status", {});
  if (!answer.ok) return answer;
  const { sync, unreachable } = answer.value;
  const text = `${coordinatorText(answer.value)}${sync ? syncText(cli, sync) : ""}`;
  return ok({ data: answer.value, text, isFailed: unreachable !== undefined });
}

function coordinatorText(status: MachineOutput<"workspace.status">): string {
  const { where, unreachable, chats = 0, revision = 0, overdueRows = 0, sockets = 0, storage } = status;
  if (unreachable !== undefined) return `Coordinator: ${where}, which does not answer: ${unreachable}\n`;
  const late =
    overdueRows > 0
      ? `, late with ${pluralize(overdueRows, "change")} that ${overdueRows === 1 ? "is" : "are"} due`
      : "";
  const full = storage?.state === "full" ? ", its storage is full: delete what is not needed" : "";
  return `Coordinator: ${where}; ${pluralize(chats, "chat")}, revision ${revision}, ${pluralize(sockets, "connection")}${late}${full}.\n`;
}

function syncText(cli: Cli, sync: SyncState): string {
  const { problem, key, device, keyId = "", backlog = 0, oldestAt = null, notes = {} } = sync;
  if (problem !== null) return `Not synced: ${problem}\n`;
  if (device === null) return `Key ${key}. Nothing is synced yet: \`shim join sync\`, or the next chat.\n`;
  const oldest = backlog > 0 && oldestAt !== null ? `, the oldest ${cli.ago(oldestAt)}` : "";
  const synced = notes.syncedAt === undefined ? "never" : cli.ago(notes.syncedAt);
  const other = keyId !== "" && keyId !== key ? ` (what was sent is sealed under ${keyId})` : "";
  return [
    `Device ${device}, key ${key}${other}.\n`,
    `Synced: ${synced}; ${pluralize(backlog, "change")} ${backlog === 1 ? "waits" : "wait"}${oldest}.\n`,
    notes.trouble ? `Last problem, ${cli.ago(notes.trouble.at)}: ${notes.trouble.message}\n` : "",
    formatCount(notes.refused, "envelopes of other machines were refused; shim.log names them."),
    formatCount(notes.passedOver, "older checkpoints were skipped, and are here only."),
    formatCount(notes.keptHere, "checkpoints could not be sent, and are here only."),
    filesText(sync),
  ].join("");
}

function filesText({ sendsFiles, files }: SyncState): string {
  const { sessions = 0, bytes = 0, notSent = 0, reason = null } = files ?? {};
  const sent =
    sessions > 0
      ? `those of ${pluralize(sessions, "session")} are stored there (${bytes} bytes)`
      : "none are stored there";
  const problem = notSent > 0 ? `; the newest of ${pluralize(notSent, "session")} are here only: ${reason}` : "";
  if (sendsFiles) return `Uncommitted files: ${sent}${problem}.\n`;
  return sessions > 0 ? `Uncommitted files are not sent any more; ${sent}.\n` : "";
}

function formatCount(count: number | undefined, text: string): string {
  return count ? `${count} ${text}\n` : "";
}
