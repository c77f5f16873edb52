import type { Sql } from "../../shared/sql.ts";
import * as notices from "../../store/notices.ts";
import * as notes from "./sync-notes.ts";
import type { SealBatch } from "./seal-changes.ts";

export function addSkippedNotice(sql: Sql, now: number, skippedCount: number): void {
  if (skippedCount === 0) return;
  notes.write(sql, { passedOver: (notes.read(sql).passedOver ?? 0) + skippedCount });
  addOnce(
    sql,
    now,
    "sync_passed_over",
    "More had changed here than is sent to the workspace one by one: of each session only the newest checkpoint is sent. All of them are on this machine.",
  );
}

export function addKeptLocalNotice(sql: Sql, now: number, keptLocal: SealBatch["keptLocal"]): void {
  const [example] = keptLocal;
  if (!example) return;
  notes.write(sql, { keptHere: (notes.read(sql).keptHere ?? 0) + keptLocal.length });
  addOnce(
    sql,
    now,
    "sync_kept_here",
    `${example.id} is on this machine only, and not in the workspace: ${example.reason}. \`shim edge status\` counts such cases.`,
  );
}

/** [SY66] Without a notice, no user would check `shim edge status`. */
export function addWrongKeyNotice(sql: Sql, now: number, message: string): void {
  addOnce(sql, now, "sync_wrong_key", `Nothing of this machine is synced for now: ${message}.`);
}

export function clearWrongKeyNotice(sql: Sql, now: number): void {
  for (const { id } of notices.list(sql).filter(({ kind }) => kind === "sync_wrong_key"))
    notices.acknowledge(sql, now, id);
}

function addOnce(sql: Sql, now: number, kind: string, text: string): void {
  if (!notices.list(sql).some((notice) => notice.kind === kind)) notices.add(sql, now, kind, text);
}
