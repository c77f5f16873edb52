import { readEdge } from "../../local-mcp/authority.ts";
import * as choices from "../../local-mcp/sync/choice.ts";
import { readKeys } from "../../local-mcp/sync/key-ring.ts";
import { syncStatus, type SyncStatus } from "../../local-mcp/sync/sync-status.ts";
import { ok } from "../../shared/result.ts";
import type { Cli, Outcome } from "../cli.ts";
import { coordination } from "../coordination.ts";

/** [SY77] Who decides, and how the sync is; also with nobody there, since what waits is here. */
export async function status(cli: Cli): Promise<Outcome> {
  const link = await coordination(cli);
  if (!link.ok) return link;
  const health = await link.value.call("health", {});
  link.value.close();
  const own = await ofThisMachine(cli);
  const { where } = link.value;
  if (!health.ok) return own ? unreachable(where, health.error.message, own) : health;
  const { chats, epoch, revision, overdueRows, sockets } = health.value;
  const text = `Decided by ${where}: ${chats} chats, revision ${revision}, epoch ${epoch}, ${sockets} connections, ${overdueRows} rows overdue.\n`;
  if (!own) return ok({ data: { where, ...health.value }, text });
  return ok({ data: { where, ...health.value, sync: own.data }, text: text + own.text });
}

interface Own {
  readonly data: object;
  readonly text: string;
}

function unreachable(where: string, message: string, own: Own): Outcome {
  const text = `Decided by ${where}, which does not answer: ${message}\n${own.text}`;
  return ok({ data: { where, unreachable: message, sync: own.data }, text, isFailed: true });
}

/** Null: this machine decides for itself. */
async function ofThisMachine(cli: Cli): Promise<Own | null> {
  const edge = readEdge(cli.paths.home, cli.io.env);
  if (!edge.ok || edge.value === null) return null;
  const ring = readKeys(cli.paths.home, edge.value, cli.io.env);
  const key = ring.ok ? (ring.value?.current.id ?? null) : null;
  const { workspace } = edge.value;
  const { store } = await cli.runtime();
  const sync = store.read(syncStatus, null);
  const isWanted = store.read((sql) => choices.read(sql, workspace), null)?.isSynced !== false;
  const data = { key, device: null, ...sync };
  if (!ring.ok) return { data, text: `Not synced: ${ring.error}.\n` };
  if (!isWanted)
    return { data, text: "Not synced: this machine has joined with --no-sync; `shim edge key` begins to sync.\n" };
  if (key === null)
    return { data, text: "Not synced: this machine has no key of the workspace; `shim edge key` takes it.\n" };
  if (!sync) return { data, text: `Key ${key}. Nothing is synced yet: \`shim edge sync\`, or the next chat.\n` };
  return { data, text: linesOf(cli, key, sync) };
}

function linesOf(cli: Cli, key: string, { device, epoch, keyId, backlog, oldestAt, notes }: SyncStatus): string {
  const oldest = backlog > 0 && oldestAt !== null ? `, the oldest ${cli.ago(oldestAt)}` : "";
  const synced = notes.syncedAt === undefined ? "never" : cli.ago(notes.syncedAt);
  const other = keyId !== "" && keyId !== key ? ` (what was sent is sealed under ${keyId})` : "";
  return [
    `Device ${device}, epoch ${epoch}, key ${key}${other}.\n`,
    `Synced: ${synced}; ${backlog} changes wait${oldest}.\n`,
    notes.trouble ? `Last trouble, ${cli.ago(notes.trouble.at)}: ${notes.trouble.message}\n` : "",
    counted(notes.refused, "envelopes of other machines were refused; shim.log names them."),
    counted(notes.passedOver, "older checkpoints were passed over, and are here only."),
    counted(notes.keptHere, "checkpoints could not be sent, and are here only."),
  ].join("");
}

function counted(count: number | undefined, text: string): string {
  return count ? `${count} ${text}\n` : "";
}
