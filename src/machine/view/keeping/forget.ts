import { statSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import * as snapshotDrops from "../../../store/snapshot-drops.ts";
import * as spool from "../../../store/spool.ts";
import * as meta from "../../../store/meta.ts";
import { forgetChats, createLocalStore } from "../../../coordinator-client/local/local-store.ts";
import { selectColumn, type Sql, type SqlValue } from "../../../shared/sql.ts";
import { listBackups } from "../../../store/backup.ts";
import { backUp } from "../../../store/copy-store.ts";
import { decode, encode } from "../../../store/checkpoint-body.ts";
import { removeDatabase, withMaintenanceLock } from "../../../store/database.ts";
import type { Connection } from "../../../store/driver.ts";
import { rebuild } from "../../../store/text-index.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import {
  checkpoints as checkpointRows,
  clients,
  recoveries,
  sessions as sessionRows,
} from "../../../store/session-tables.ts";
import { clearPausedFolder, clearPausedFoldersIn, markTranscript } from "../../sessions/session-settings.ts";
import { removeDurably } from "../../../platform/private-files.ts";
import type { Store } from "../../../store/store.ts";
import { StoreError, toStoreError } from "../../../store/store-error.ts";
import { hookClients } from "../../../contract/clients.ts";
import { keptFolder } from "../../recovery/stores/kept-sessions.ts";
import { removeSession } from "./retention.ts";

export type ForgetTarget =
  | { readonly session: string }
  | { readonly project: string }
  | { readonly checkpoint: string };

export interface ForgetResult {
  readonly sessions: readonly string[];
  readonly checkpoints: readonly string[];
  readonly rows: number;
}

interface PurgeTargets {
  readonly sessions: readonly string[];
  readonly projects: readonly string[];
}

const targetsKey = "purge_targets";
const pendingKey = "purge_pending";
const maxAttempts = 3;
/** Five seconds in all. */
const checkpointWaitMs = 20;
const maxCheckpointWaits = 250;

/**
 * Deletes the target's rows but not a pause, which is a setting. Traces stay until
 * {@link purge}.
 * @param keepsCopies backups are kept: no purge follows
 */
export function forget(sql: Sql, target: ForgetTarget, keepsCopies = false): ForgetResult {
  const sessions = sessionsOf(sql, target);
  const isCheckpoint = "checkpoint" in target;
  const [where, values] = isCheckpoint ? ["id = ?", [target.checkpoint]] : inClause("session", sessions);
  const checkpoints = selectColumn(sql, `SELECT id FROM checkpoints WHERE ${where}`, ...values);
  const [theirs, ids] = inClause("checkpointId", checkpoints);
  snapshotDrops.enqueue(sql, theirs, ...ids);
  dropInheritedWork(sql, sessions);
  const rows = isCheckpoint
    ? sql.run(`DELETE FROM checkpoints WHERE ${where}`, ...values)
    : sessions.reduce((sum, id) => sum + deleteSession(sql, id), 0);
  if ("project" in target) clearPausedFoldersIn(sql, target.project);
  if (!keepsCopies) {
    const before = targetsOf(sql);
    const projects = "project" in target ? [...before.projects, target.project] : before.projects;
    const all = { sessions: [...new Set([...before.sessions, ...sessions])], projects: [...new Set(projects)] };
    meta.write(sql, targetsKey, JSON.stringify(all));
    meta.write(sql, pendingKey, "1");
  }
  meta.incrementForgetCount(sql);
  return { sessions, checkpoints, rows };
}

function sessionsOf(sql: Sql, target: ForgetTarget): string[] {
  if ("checkpoint" in target) return [];
  if ("session" in target) return [target.session];
  return selectColumn(
    sql,
    "SELECT id FROM sessions WHERE project = ? OR (project IS NULL AND cwd = ?)",
    target.project,
    target.project,
  );
}

function deleteSession(sql: Sql, id: string): number {
  // Skips the transcript so far of a chat that lives on.
  const { transcriptPath: path = null, transcriptOffset: offset = 0 } = sessionRows.find(sql, { id }) ?? {};
  const size = path === null ? 0 : (statSync(path, { throwIfNoEntry: false })?.size ?? 0);
  if (path !== null) markTranscript(sql, id, Math.max(offset, size));
  clearPausedFolder(sql, id);
  const rows = clients.delete(sql, { givenId: id });
  sessionRows.update(sql, { parentId: id }, { parentId: null });
  recoveries.update(sql, { bySession: id }, { bySession: null });
  return rows + removeSession(sql, id, new Set());
}

/** Deletes inherited work (`WorkState.continues`); returns the changed checkpoints. */
function dropInheritedWork(sql: Sql, sessions: readonly string[]): void {
  const [where, values] = inClause("session", sessions);
  const successors = selectColumn(
    sql,
    `SELECT DISTINCT bySession FROM recoveries WHERE bySession IS NOT NULL AND ${where}`,
    ...values,
  );
  const [theirs, ids] = inClause("session", successors);
  for (const row of checkpointRows.select(sql, `WHERE ${theirs}`, ...ids)) {
    const state = readInheritedWork(row.body, row.hash);
    if (!state || !sessions.includes(state.continues.session)) continue;
    const { continues: _continues, ...rest } = state;
    const { body, hash, rawBytes } = encode(rest);
    checkpointRows.update(sql, { seq: row.seq }, { body, hash, rawBytes });
  }
}

function readInheritedWork(body: Uint8Array, hash: string): { continues: { session: string } } | null {
  try {
    const state = decode(body, hash) as { continues?: { session: string } };
    return state.continues ? { ...state, continues: state.continues } : null;
  } catch {
    return null;
  }
}

/** Returns true from a forget until all its traces are gone. */
export function isPurgePending(sql: Sql): boolean {
  return meta.read(sql, pendingKey) !== null;
}

/**
 * Removes the traces of forgotten rows: index, spool, log, all earlier backups and set-aside
 * files, unread inputs, copies of the clients' files; then makes a new backup. Must be repeated
 * after an error.
 *
 * @throws {StoreError} when another process holds the file for too long; names the step that is
 * left
 */
export async function purge({ store, paths }: Pick<Runtime, "store" | "paths">): Promise<void> {
  const targets = store.read(targetsOf, { sessions: [], projects: [] });
  const hadBackups = listBackups(store.context.files.backups).length > 0;
  await retryStep("the spool", store, () => spool.remove(paths.spool, (entry) => matchesTargets(entry, targets)));
  await purgeChats(store, paths.home, targets.sessions);
  await retryStep("the write-ahead log", store, async () => {
    store.write((sql) => {
      // The index keeps words of deleted rows.
      rebuild(sql);
      meta.remove(sql, targetsKey);
      // A backup that was begun before has a lower number.
      meta.incrementForgetCount(sql);
    });
    await rewrite(store.connection());
  });
  await retryStep("backups and set-aside files", store, () =>
    withMaintenanceLock(store.context, "exclusive", () => {
      const { files } = store.context;
      removeDatabase(files.next);
      removeDurably(files.backups);
      removeDurably(files.setAside);
      removeDurably(paths.unread);
      for (const client of hookClients)
        for (const session of targets.sessions) removeDurably(keptFolder(paths.kept, client, session));
    }),
  );
  if (hadBackups) await backUp(store, store.context.now(), 1);
  store.write((sql) => meta.remove(sql, pendingKey));
}

async function purgeChats(store: Store, home: string, sessions: readonly string[]): Promise<void> {
  const { driver, busyMs, now } = store.context;
  const chats = createLocalStore({ home, driver, now, busyMs });
  try {
    await retryStep("the list of chats", store, () => forgetChats(chats, sessions));
    await retryStep("the log of the list of chats", store, async () => {
      if (chats.exists()) await rewrite(chats.connection());
    });
  } finally {
    chats.close();
  }
}

async function retryStep(remainder: string, store: Store, work: () => unknown): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await work();
      return;
    } catch (error) {
      const mapped = toStoreError(error, store.path);
      if (!(mapped instanceof StoreError)) throw mapped;
      if (!mapped.retryable || attempt === maxAttempts) {
        throw new StoreError(
          mapped.code,
          `the forgotten data is deleted, but ${remainder} may still hold traces of it; repeat the command ` +
            `(if that does not help, another program has the files open: end it first). ${mapped.message}`,
          { cause: error },
        );
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/**
 * `secure_delete` overwrites deleted cells, but not their copies in the unused part of a page whose
 * cells have moved.
 */
async function rewrite(connection: Connection): Promise<void> {
  connection.script("VACUUM");
  await truncateLog(connection);
}

/**
 * Waits for a checkpoint of another process, such as that of an open chat: SQLite answers
 * then at once (`log` is -1), and waits by itself only for readers and writers.
 */
async function truncateLog(connection: Connection): Promise<void> {
  for (let waits = 0; ; waits++) {
    const [row] = connection.all<{ busy: number; log: number }>("PRAGMA wal_checkpoint(TRUNCATE)");
    if (!row?.busy) return;
    if (row.log !== -1) throw new StoreError("store_locked", "another process still reads an older state of the store");
    if (waits === maxCheckpointWaits)
      throw new StoreError("store_locked", "another process still moves the log into the store");
    await pause(checkpointWaitMs);
  }
}

function matchesTargets(entry: spool.SpoolEntry, { sessions, projects }: PurgeTargets): boolean {
  const texts = textsOf(entry, 0);
  return texts.some(
    (text) => sessions.includes(text) || projects.some((project) => text === project || text.startsWith(`${project}/`)),
  );
}

function textsOf(value: unknown, depth: number): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null || depth > 2) return [];
  return Object.values(value).flatMap((inner) => textsOf(inner, depth + 1));
}

function targetsOf(sql: Sql): PurgeTargets {
  const stored = meta.read(sql, targetsKey);
  return stored === null ? { sessions: [], projects: [] } : (JSON.parse(stored) as PurgeTargets);
}

function inClause(name: string, values: readonly string[]): [string, SqlValue[]] {
  return [`${name} IN (SELECT value FROM json_each(?))`, [JSON.stringify(values)]];
}
