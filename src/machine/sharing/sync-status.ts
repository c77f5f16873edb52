import type { SyncNotes, SyncStatus } from "../../contract/machine/workspaces.ts";
import * as meta from "../../store/meta.ts";
import type { Sql } from "../../shared/sql.ts";
import * as notices from "../../store/notices.ts";
import type { EdgeWorkspace } from "../../coordinator-client/edge-config.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { fail, type Result } from "../../shared/result.ts";
import * as joinPreferences from "./join-preferences.ts";
import { requireKeys, type KeyRing } from "./key-ring.ts";
import * as devices from "./device.ts";
import * as changes from "./pending-changes.ts";
import * as sentRecords from "./sent-records.ts";

/** A session or a checkpoint that stays on this machine. */
export interface KeptHere {
  readonly id: string;
  readonly reason: string;
}

export function syncStatus(sql: Sql): SyncStatus | null {
  const device = devices.get(sql);
  if (!device) return null;
  const { count: backlog, oldestAt } = changes.waitingIn(sql, "sync_changes");
  return {
    device: device.device,
    keyId: device.keyId,
    backlog,
    oldestAt,
    notes: readNotes(sql),
    files: sentRecords.counts(sql),
  };
}

/** The keys by which a machine syncs with a workspace, or why it does not. */
export function syncKeys(
  { store, paths, env }: Pick<Runtime, "store" | "paths" | "env">,
  edge: EdgeWorkspace,
): Result<KeyRing> {
  if (store.read((sql) => joinPreferences.read(sql, edge.workspace), null)?.isSynced === false)
    return fail("no_sync", "this machine has joined with --no-sync; `shim workspace key set` begins to sync");
  const keys = requireKeys(paths.home, edge, env);
  return keys.ok ? keys : fail("no_key", keys.error);
}

const metaKey = "sync_notes";

export function readNotes(sql: Sql): SyncNotes {
  return JSON.parse(meta.read(sql, metaKey) ?? "{}") as SyncNotes;
}

export function writeNotes(sql: Sql, change: SyncNotes): void {
  meta.write(sql, metaKey, JSON.stringify({ ...readNotes(sql), ...change }));
}

export function forgetNotes(sql: Sql): void {
  meta.remove(sql, metaKey);
}

export function countRefused(sql: Sql): void {
  writeNotes(sql, { refused: (readNotes(sql).refused ?? 0) + 1 });
}

export function addKeptLocalNotice(sql: Sql, now: number, keptLocal: readonly KeptHere[]): void {
  const [example] = keptLocal;
  if (!example) return;
  writeNotes(sql, { keptHere: (readNotes(sql).keptHere ?? 0) + keptLocal.length });
  addOnce(
    sql,
    now,
    "sync_kept_here",
    `${example.id} is on this machine only, and not in the workspace: ${example.reason}. \`shim workspace status\` counts such cases.`,
  );
}

/** Without a notice, no user would check `shim workspace status`. */
export function addWrongKeyNotice(sql: Sql, now: number, message: string): void {
  addOnce(sql, now, "sync_wrong_key", `Nothing of this machine is synced for now: ${message}.`);
}

/** The next round says again what is still wrong. */
export function clearWrongKey(sql: Sql, now: number): void {
  for (const { id } of notices.list(sql).filter(({ kind }) => kind === "sync_wrong_key"))
    notices.acknowledge(sql, now, id);
  if (readNotes(sql).trouble?.code === "wrong_key") writeNotes(sql, { trouble: null });
}

function addOnce(sql: Sql, now: number, kind: string, text: string): void {
  if (!notices.list(sql).some((notice) => notice.kind === kind)) notices.add(sql, now, kind, text);
}
