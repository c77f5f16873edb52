import { anEnding } from "./an-ending.ts";
import { type Driver, connect, withConnection } from "#src/store/driver.ts";
import { onTestFinished } from "vitest";
import { Store, type StoreOptions } from "#src/store/store.ts";
import { StoreError } from "#src/store/store-error.ts";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type Paths, pathsIn } from "#src/platform/paths.ts";
import { tmpdir } from "node:os";
import { migrate, type Migration } from "#src/shared/migrate.ts";
import { createPrivateFile } from "#src/platform/private-files.ts";
import type { Sql, SqlValue } from "#src/shared/sql.ts";
import { encode } from "#src/store/checkpoint-body.ts";
import { indexPending } from "#src/store/text-index.ts";

/** The SQLite of the tests: better-sqlite3, or node:sqlite where a file of the night asks for it before it imports them. */
export const driver: Driver =
  process.env["SHIM_TEST_SQLITE"] === "node:sqlite"
    ? (await import("#src/store/driver-node-sqlite.ts")).openNodeSqlite
    : (await import("#src/store/driver-better-sqlite3.ts")).openBetterSqlite3;

export const found = (store: Store, query: string): unknown[] => store.read((sql) => column(sql, query), []);

/** The StoreError that the work ends with; any other outcome fails the test. */
export function refusal(work: () => unknown): StoreError {
  try {
    work();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  throw new Error("expected a StoreError");
}

/** Writes rubbish over one leaf page of a table; the store must be closed. */
export function breakPage(driver: Driver, paths: Paths, table: string, share: number): void {
  const connection = driver({ path: paths.database, readOnly: true, busyMs: 0 });
  const query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path";
  const leaves = column(connection, query, table);
  connection.close();
  const page = Number(leaves[Math.floor(leaves.length * share)]);
  const file = openSync(paths.database, "r+");
  const size = 4_096;
  writeSync(file, Buffer.alloc(size, 0xff), 0, size, (page - 1) * size);
  closeSync(file);
}

export const T0 = 1_700_000_000_000;

/** The files of a new, empty home; it goes with the test. */
export function tempHome(): Paths {
  const folder = mkdtempSync(join(tmpdir(), "shim-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return pathsIn(join(folder, "home"));
}

/** A store on a real file in a new home; nothing is on the disk before its first write. */
export function tempStore(driver: Driver, options: Partial<StoreOptions> = {}): { store: Store; paths: Paths } {
  const paths = tempHome();
  return { store: openStore(driver, paths, options), paths };
}

export function openStore(driver: Driver, paths: Paths, options: Partial<StoreOptions> = {}): Store {
  const store = new Store({ path: paths.database, driver, now: () => T0, ...options });
  onTestFinished(() => store.close());
  return store;
}

const made = new Map<readonly Migration[], Buffer>();

/** Writes an empty database with the whole schema. It is migrated once per process: that takes longer than most rules. */
export function writeMigratedFile(path: string, driver: Driver, migrations: readonly Migration[]): void {
  createPrivateFile(path);
  let bytes = made.get(migrations);
  if (!bytes) made.set(migrations, (bytes = migratedBytes(driver, migrations)));
  writeFileSync(path, bytes);
}

function migratedBytes(driver: Driver, migrations: readonly Migration[]): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "shim-migrated-"));
  const path = join(folder, "migrated.db");
  createPrivateFile(path);
  withConnection(connect(driver, path, 0), (connection) => migrate(connection, T0, migrations));
  const bytes = readFileSync(path);
  rmSync(folder, { recursive: true });
  return bytes;
}

export function column(sql: Sql, query: string, ...values: (string | number)[]): unknown[] {
  return sql.all<Record<string, unknown>>(query, ...values).map((row) => Object.values(row)[0]);
}

/** @param conflict what follows the values of an INSERT */
export function insert(sql: Sql, table: string, row: Readonly<Record<string, SqlValue>>, conflict = ""): void {
  const columns = Object.keys(row);
  const places = columns.map(() => "?").join();
  sql.run(`INSERT INTO ${table} (${columns.join()}) VALUES (${places}) ${conflict}`, ...Object.values(row));
}

type Texts<Name extends string> = Partial<Record<Name, string>>;
type Times<Name extends string> = Partial<Record<Name, number>>;

type Nullable<Name extends string> = Partial<Record<Name, string | null>>;
type SessionRow = Texts<"id"> & Nullable<"project" | "title" | "recovery"> & Times<"lastSeenAt" | "endedAt">;

/** A row as the session part writes it; repeatable. */
export function addSession(sql: Sql, more: SessionRow = {}): void {
  const { project = "/p", lastSeenAt = T0 } = more;
  const usual = { id: "ses", client: "claude-code", title: "t", origin: "startup", startedAt: lastSeenAt };
  const { endedAt, ...fields } = more;
  const ending = endedAt === undefined ? null : JSON.stringify(anEnding({ how: "ended", at: endedAt, isOpen: false }));
  const row = { ending, cwd: project, ...usual, ...fields, project, lastSeenAt };
  const change = "lastSeenAt = excluded.lastSeenAt, ending = excluded.ending";
  insert(sql, "sessions", row, `ON CONFLICT (id) DO UPDATE SET ${change}`);
}

export function addJournal(sql: Sql, more: Texts<"session" | "key" | "text"> & Times<"at"> = {}): number {
  const { session = "ses", key = "k", at = T0, text = "text" } = more;
  const row = { session, at, kind: "prompt", key, body: JSON.stringify({ text }) };
  insert(sql, "journal", row, "ON CONFLICT DO NOTHING");
  return Number(column(sql, "SELECT seq FROM journal WHERE session = ? AND key = ?", session, key)[0]);
}

/** Checkpoints that the search index finds, once it has taken in what waits. */
export function searched(sql: Sql, word: string): unknown[] {
  indexPending(sql);
  return column(sql, "SELECT rowid FROM checkpoints_text WHERE checkpoints_text MATCH ?", word);
}

type CheckpointRow = Texts<"id" | "session" | "summary"> & Times<"at" | "journalSeq"> & { state?: unknown };

export function addCheckpoint(sql: Sql, more: CheckpointRow = {}): void {
  const { state = { goal: "g" }, ...given } = more;
  const usual = { id: "cp", session: "ses", at: T0, journalSeq: 0, redactions: 0, summary: "sum" };
  insert(sql, "checkpoints", { trigger: "on_demand", ...usual, ...encode(state), ...given }, "ON CONFLICT DO NOTHING");
}

type SnapshotRow = Texts<"checkpoint" | "session" | "project" | "text"> & Nullable<"repository">;

export function addSnapshot(sql: Sql, more: SnapshotRow = {}): void {
  const { checkpoint = "cp", session = "ses", project = "/p", repository = null, text = "t" } = more;
  const about = { checkpointId: checkpoint, session, at: T0, state: "done", reason: text };
  insert(sql, "snapshots", { ...about, project, repository, branch: text, detail: JSON.stringify({ text }) });
}

/** One row in every table that belongs to a session, with the text in each column that takes one. */
export function plant(sql: Sql, session: string, project: string, text: string): void {
  addSession(sql, { id: session, project, title: text });
  const journalSeq = addJournal(sql, { session, key: `${session} key`, text });
  addCheckpoint(sql, { id: `cp ${session}`, session, summary: text, state: { goal: text }, journalSeq });
  addSnapshot(sql, { checkpoint: `cp ${session}`, session, project, repository: "/snapshots/r", text });
  plantRest(sql, session, text);
}

export function plantRest(sql: Sql, session: string, text: string): void {
  const about = { session, at: T0 };
  sql.run("INSERT INTO signals VALUES (?, ?, 0.5, ?, ?)", session, T0, text, "{}");
  const unsaved = { unsavedEvents: 0, unsavedToolCalls: 0 };
  insert(sql, "crashes", { ...about, cause: "killed", detail: text, readings: "{}", ...unsaved });
  insert(sql, "recoveries", { ...about, action: "offered", detail: JSON.stringify({ text }) });
  insert(sql, "clients", { ...about, boot: "b", pid: 1, start: session, givenId: session });
}
