import type { SyncOp } from "../../contract/sync.ts";
import { insertRows } from "../../shared/table.ts";
import { insertLongRows } from "../kernel/insert-rows.ts";
import type { Tx } from "../kernel/tx.ts";
import * as rows from "./sync-rows.ts";

/** Ops below which statements for each are as fast. */
const minOps = 4;

interface Content {
  readonly id: string;
  readonly op: SyncOp;
  readonly at: number;
  readonly chars: number;
  readonly stored: StoredContent | undefined;
}

/**
 * Stores ops with a few statements, and leaves what they would leave one by one. The simple case
 * only: each content once, no deletion, nothing newer stored, and room for all.
 * @returns false, without a write: they must be stored one by one
 */
export function storeSet(tx: Tx, sums: rows.Totals, origin: rows.Origin, ops: readonly SyncOp[]): boolean {
  if (ops.length < minOps || ops.some(({ kind }) => kind === "forget")) return false;
  const sessions = listContents(tx, origin, ops, "session");
  const checkpoints = listContents(tx, origin, ops, "checkpoint");
  if (!sessions || !checkpoints) return false;
  const growth = growthOf(sessions) + growthOf(checkpoints);
  if (growth > 0 && sums.chars + growth > tx.settings.maxSyncChars) return false;
  sums.chars += growth;
  const revisions = nextRevisions(tx, sums, ops);
  replaceSessions(tx, origin, sessions, revisions);
  touchSessions(tx, origin, sessions, revisions);
  replaceCheckpoints(tx, origin, checkpoints);
  removeEndedFiles(tx, sums, origin, sessions);
  prune(tx, sums, origin, checkpoints);
  return true;
}

/** Returns null where a content comes twice, or a newer one is stored. */
function listContents(
  tx: Tx,
  origin: rows.Origin,
  ops: readonly SyncOp[],
  kind: "session" | "checkpoint",
): readonly Content[] | null {
  const ofKind = ops.filter((op) => op.kind === kind);
  const ids = new Set(ofKind.map((op) => op[kind] ?? ""));
  if (ids.size < ofKind.length) return null;
  const stored = findStored(tx, origin, kind, [...ids]);
  const contents = ofKind.map((op) => {
    const id = op[kind] ?? "";
    return { id, op, at: rows.createdAt(tx, op), chars: op.envelope?.length ?? 0, stored: stored.get(id) };
  });
  return contents.some((one) => isOlderThanStored(origin, one)) ? null : contents;
}

function isOlderThanStored({ epoch }: rows.Origin, { at, stored }: Content): boolean {
  return stored !== undefined && stored.chars > 0 && rows.isOlder({ epoch, at }, stored);
}

interface StoredContent extends rows.OpVersion {
  readonly id: string;
  readonly session: string;
  readonly chars: number;
}

function findStored(
  { sql }: Tx,
  { device }: rows.Origin,
  kind: "session" | "checkpoint",
  ids: readonly string[],
): ReadonlyMap<string, StoredContent> {
  if (ids.length === 0) return new Map();
  const found = sql.all<StoredContent>(
    `SELECT value AS id, session, epoch, at, chars FROM json_each(?)
     CROSS JOIN sync_${kind}s ON ${kind} = value AND device = ?`,
    JSON.stringify(ids),
    device,
  );
  return new Map(found.map((row) => [row.id, row]));
}

function growthOf(contents: readonly Content[]): number {
  return contents.reduce((sum, { chars, stored }) => sum + chars - (stored?.chars ?? 0), 0);
}

/** Last revision of each session: its content takes one, all its checkpoints together another. */
function nextRevisions(tx: Tx, sums: rows.Totals, ops: readonly SyncOp[]): ReadonlyMap<string, number> {
  const revisions = new Map<string, number>();
  for (const { kind, session } of ops)
    if (kind === "session" || !revisions.has(session)) revisions.set(session, rows.nextRevision(tx, sums));
  return revisions;
}

function replaceSessions(
  { sql, now }: Tx,
  { device, machine, epoch }: rows.Origin,
  contents: readonly Content[],
  revisions: ReadonlyMap<string, number>,
): void {
  const values = contents.map(({ id, op, at, chars }) => [
    revisions.get(id) ?? 0,
    id,
    device,
    machine,
    op.project,
    op.isEnded ? 1 : 0,
    epoch,
    op.seq,
    at,
    now,
    chars,
    op.envelope ?? "",
  ]);
  insertLongRows(sql, `sync_sessions (${rows.contentColumns})`, values, rows.replaceSession);
}

/** [SY21] The sessions of which only checkpoints come. */
function touchSessions(
  { sql, now }: Tx,
  { device, machine, epoch }: rows.Origin,
  contents: readonly Content[],
  revisions: ReadonlyMap<string, number>,
): void {
  const replaced = new Set(contents.map(({ id }) => id));
  const touched = [...revisions].filter(([session]) => !replaced.has(session));
  if (touched.length === 0) return;
  const columns = {
    revision: touched.map(([, revision]) => revision),
    session: touched.map(([session]) => session),
    device,
    machine,
    isEnded: 0,
    epoch,
    seq: 0,
    at: 0,
    changedAt: now,
    chars: 0,
    envelope: "",
  };
  insertRows(sql, "sync_sessions", columns, `WHERE true ${rows.touchSession}`);
}

function replaceCheckpoints({ sql }: Tx, { device, epoch }: rows.Origin, contents: readonly Content[]): void {
  const values = contents.map(({ id, op, at, chars }) => [
    id,
    device,
    op.session,
    epoch,
    op.seq,
    at,
    chars,
    op.envelope ?? "",
  ]);
  insertLongRows(sql, `sync_checkpoints (${rows.checkpointColumns}, envelope)`, values, rows.replaceCheckpoint);
}

/** [SY34] */
function removeEndedFiles(tx: Tx, sums: rows.Totals, { device }: rows.Origin, contents: readonly Content[]): void {
  const ended = contents.filter(({ op }) => op.isEnded).map(({ id }) => id);
  if (ended.length === 0) return;
  rows.removeFiles(
    tx,
    sums,
    "session IN (SELECT value FROM json_each(?)) AND device = ?",
    JSON.stringify(ended),
    device,
  );
}

/** [SY13] Only sessions that have new checkpoints. */
function prune(tx: Tx, sums: rows.Totals, { device }: rows.Origin, checkpoints: readonly Content[]): void {
  const grown = checkpoints.filter(({ op, stored }) => stored?.session !== op.session).map(({ op }) => op.session);
  if (grown.length === 0) return;
  const full = tx.sql.all<{ session: string }>(
    `SELECT session FROM json_each(?) CROSS JOIN sync_checkpoints ON session = value AND device = ?
     GROUP BY session HAVING count(*) > ?`,
    JSON.stringify([...new Set(grown)]),
    device,
    tx.settings.maxSyncCheckpoints,
  );
  for (const { session } of full) rows.pruneCheckpoints(tx, sums, device, session);
}
