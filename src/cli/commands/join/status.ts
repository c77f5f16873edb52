import { pluralize } from "../../../shared/format.ts";
import { readEdgeConfig, type EdgeConfig } from "../../../coordinator-client/edge-config.ts";
import type { Store } from "../../../store/store.ts";
import * as joinPreferences from "../../../local-mcp/sync/join-preferences.ts";
import { readKeys } from "../../../local-mcp/sync/key-ring.ts";
import { syncStatus, type SyncStatus } from "../../../local-mcp/sync/sync-status.ts";
import type { Config } from "../../../contract/config.ts";
import { ok } from "../../../shared/result.ts";
import type { Cli, CommandResult } from "../../cli.ts";

/** [SY77] Shows coordinator and sync; works offline, since the unsent changes are stored here. */
export async function status(cli: Cli): Promise<CommandResult> {
  const link = await cli.workspace();
  if (!link.ok) return link;
  const health = await link.value.call("health", {});
  link.value.close();
  const machineStatus = await readMachineStatus(cli);
  const { where } = link.value;
  if (!health.ok) return machineStatus ? unreachable(where, health.error.message, machineStatus) : health;
  const { chats, revision, overdueRows, sockets, storage } = health.value;
  const late =
    overdueRows > 0
      ? `, late with ${pluralize(overdueRows, "change")} that ${overdueRows === 1 ? "is" : "are"} due`
      : "";
  const full = storage?.state === "full" ? ", its storage is full: delete what is not needed" : "";
  const text = `Coordinator: ${where}; ${pluralize(chats, "chat")}, revision ${revision}, ${pluralize(sockets, "connection")}${late}${full}.\n`;
  if (!machineStatus) return ok({ data: { where, ...health.value }, text });
  return ok({ data: { where, ...health.value, sync: machineStatus.data }, text: text + machineStatus.text });
}

interface MachineStatus {
  readonly data: object;
  readonly text: string;
}

function unreachable(where: string, message: string, machineStatus: MachineStatus): CommandResult {
  const text = `Coordinator: ${where}, which does not answer: ${message}\n${machineStatus.text}`;
  return ok({ data: { where, unreachable: message, sync: machineStatus.data }, text, isFailed: true });
}

async function readMachineStatus(cli: Cli): Promise<MachineStatus | null> {
  const edge = readEdgeConfig(cli.paths.home, cli.io.env);
  return edge.ok && edge.value !== null ? memberStatus(cli, edge.value) : null;
}

async function memberStatus(cli: Cli, edge: EdgeConfig): Promise<MachineStatus> {
  const ring = readKeys(cli.paths.home, edge, cli.io.env);
  const key = ring.ok ? (ring.value?.current.id ?? "") : "";
  const { store, config } = await cli.runtime();
  const sync = store.read(syncStatus, null);
  const data = { key: key || null, device: null, ...sync };
  const problem = ring.ok ? findProblem(store, edge, key) : `${ring.error}.`;
  if (problem !== null) return { data, text: `Not synced: ${problem}\n` };
  if (!sync) return { data, text: `Key ${key}. Nothing is synced yet: \`shim join sync\`, or the next chat.\n` };
  return { data, text: formatStatus(cli, config, key, sync) };
}

function findProblem(store: Pick<Store, "read">, { workspace }: EdgeConfig, key: string): string | null {
  if (store.read((sql) => joinPreferences.read(sql, workspace), null)?.isSynced === false)
    return "this machine has joined with --no-sync; `shim join key` starts the sync.";
  return key === "" ? "this machine has no key of the workspace; `shim join key` sets it." : null;
}

function filesText({ sync }: Config, { sessions, bytes, notSent, reason }: SyncStatus["files"]): string {
  const sent =
    sessions > 0
      ? `those of ${pluralize(sessions, "session")} are stored there (${bytes} bytes)`
      : "none are stored there";
  const problem = notSent > 0 ? `; the newest of ${pluralize(notSent, "session")} are here only: ${reason}` : "";
  if (sync.files) return `Uncommitted files: ${sent}${problem}.\n`;
  return sessions > 0 ? `Uncommitted files are not sent any more; ${sent}.\n` : "";
}

function formatStatus(cli: Cli, config: Config, key: string, status: SyncStatus): string {
  const { device, keyId, backlog, oldestAt, notes, files } = status;
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
    filesText(config, files),
  ].join("");
}

function formatCount(count: number | undefined, text: string): string {
  return count ? `${count} ${text}\n` : "";
}
