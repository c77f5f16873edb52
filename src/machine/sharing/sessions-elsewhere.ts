import type { WorkState } from "../../contract/work-state.ts";
import type { Sql, SqlValue } from "../../shared/sql.ts";
import type { NewRowOf, RowOf } from "../../shared/table.ts";
import { decode } from "../../store/checkpoint-body.ts";
import { isSettledSql, type Session } from "../../store/session-tables.ts";
import { sessionsElsewhere, type Takeover } from "../../store/sync-tables.ts";
import { toState } from "../sessions/life/stored-state.ts";
import type { SessionContent } from "./record-contents.ts";

/** Without its work state, which may be large. */
const heads = sessionsElsewhere.without("hash", "body");
const states = sessionsElsewhere.pick("hash", "body");
const keys = sessionsElsewhere.pick("workspace", "device", "id");

/** Fields of a record that are kept as they are. */
export const sealedFields = ["replaces", "sealedAt", "checkpoints", "missingCheckpoint", "tasks", "files"] as const;

type Content = Pick<SessionContent, (typeof sealedFields)[number] | "words">;

/** Facts of a sealed record that have no column. Stored as JSON: add fields as optional. */
export interface SealedFacts extends Content {
  /** Milliseconds to add to a time of its machine's clock for one of this machine's. */
  readonly clockOffsetMs: number;
  /** Its newest checkpoint without the state; `at` is of this machine's clock. */
  readonly checkpoint: Omit<NonNullable<SessionContent["checkpoint"]>, "state"> | null;
  /** Events after the checkpoint, and how many of them came with the record. */
  readonly unsaved: { readonly count: number; readonly came: number };
}

interface Sealed {
  readonly sealed: SealedFacts;
}

/** A session of another machine: the columns of a session of this one, by this machine's clock. */
export type SessionElsewhere = Omit<RowOf<typeof heads>, "sealed"> & Sealed;
export type StoredElsewhere = Omit<NewRowOf<typeof sessionsElsewhere>, "sealed"> & Sealed;
export type ElsewhereKey = RowOf<typeof keys>;

function select(sql: Sql, rest: string, ...values: readonly SqlValue[]): SessionElsewhere[] {
  // Written by save().
  return heads.select(sql, rest, ...values) as SessionElsewhere[];
}

/** Lists newest first; this device's own only while another machine has taken them over. */
export function list(
  sql: Sql,
  workspace: string,
  { session = null, device = null }: { readonly session?: string | null; readonly device?: string | null } = {},
): SessionElsewhere[] {
  const query =
    "WHERE workspace = ? AND (? IS NULL OR id = ?) AND (? IS NULL OR device = ?) ORDER BY lastSeenAt DESC, id";
  return select(sql, query, workspace, session, session, device, device);
}

const isOfOthers = "id NOT IN (SELECT id FROM sessions) AND device NOT IN (SELECT device FROM sync_device)";

/** Sessions of other machines that go on there and have sealed files, newest first. */
export function listWithFiles(sql: Sql, most: number): SessionElsewhere[] {
  return select(
    sql,
    `WHERE workspace = (SELECT workspace FROM sync_device) AND ${isOfOthers}
       AND ${isSettledSql("sessions_elsewhere")} = 0
       AND taken IS NULL AND coalesce(recovery, '') NOT IN ('recovered', 'dismissed')
       AND sealed ->> '$.files.sent.bundle' IS NOT NULL
     ORDER BY lastSeenAt DESC LIMIT ?`,
    most,
  );
}

/**
 * Sessions of other machines, those of persons first, newest first and each once: a copied home
 * has the sessions of the first one, and a machine that has the session itself knows more.
 */
export function listOfOthers(sql: Sql, workspace: string, project?: string): SessionElsewhere[] {
  const ids = new Set<string>();
  const query = `WHERE workspace = ? AND (? IS NULL OR projectName = ?) AND ${isOfOthers} ORDER BY isScripts, lastSeenAt DESC, id`;
  return select(sql, query, workspace, project ?? null, project ?? null).filter(({ id }) => {
    const isNew = !ids.has(id);
    ids.add(id);
    return isNew;
  });
}

/** Newest row of the session, of any device and workspace. */
export function findNewest(sql: Sql, session: string): SessionElsewhere | null {
  return select(sql, "WHERE id = ? ORDER BY lastSeenAt DESC LIMIT 1", session)[0] ?? null;
}

export function find(sql: Sql, key: ElsewhereKey): SessionElsewhere | null {
  return heads.find(sql, keyOf(key)) as SessionElsewhere | null;
}

/** With the events that came after its checkpoint. Null: the session was forgotten meanwhile. */
export function findState(sql: Sql, key: ElsewhereKey): WorkState | null {
  const row = states.find(sql, keyOf(key));
  return row && toState(decode(row.body, row.hash));
}

export function hasContent({ sealed: { checkpoint, unsaved }, toolCalls }: SessionElsewhere): boolean {
  return checkpoint !== null || unsaved.count > 0 || toolCalls > 0;
}

/** Whether its own machine says that there is nothing left to continue. */
export function isOver({ ending, recovery }: Pick<SessionElsewhere, "ending" | "recovery">): boolean {
  return ending?.how === "ended" || recovery === "recovered" || recovery === "dismissed";
}

/** Only what a session of this machine has, too. */
export function toSession({
  workspace: _workspace,
  device: _device,
  projectName: _name,
  taken: _taken,
  sealed: _sealed,
  ...session
}: SessionElsewhere): Session {
  return session;
}

export function toLocalTime({ sealed }: Pick<SessionElsewhere, "sealed">, there: number): number {
  return there + sealed.clockOffsetMs;
}

export function listKeys(sql: Sql, workspace: string): ElsewhereKey[] {
  return keys.select(sql, "WHERE workspace = ?", workspace);
}

/** Whether {@link remove} would delete anything of it. */
export function isStored(sql: Sql, key: ElsewhereKey): boolean {
  return sessionsElsewhere.has(sql, keyOf(key));
}

export function save(sql: Sql, row: StoredElsewhere): void {
  sessionsElsewhere.put(sql, row);
}

export function setTakeover(sql: Sql, key: ElsewhereKey, taken: Takeover | null): void {
  sessionsElsewhere.update(sql, keyOf(key), { taken });
}

export function remove(sql: Sql, key: ElsewhereKey): void {
  sessionsElsewhere.delete(sql, keyOf(key));
  removeOrphanedRecoveries(sql);
}

export function removeAll(sql: Sql): void {
  sql.run("DELETE FROM sessions_elsewhere");
  removeOrphanedRecoveries(sql);
}

function keyOf({ workspace, device, id }: ElsewhereKey): ElsewhereKey {
  return { workspace, device, id };
}

function removeOrphanedRecoveries(sql: Sql): void {
  sql.run(
    `DELETE FROM recoveries WHERE session NOT IN (SELECT id FROM sessions)
       AND session NOT IN (SELECT id FROM sessions_elsewhere)`,
  );
}
