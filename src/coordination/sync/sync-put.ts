import type { CheckedInputOf, OutputOf } from "../../contract/operations.ts";
import type { PutResult, SyncRecord } from "../../contract/sync.ts";
import { err, fail, ok, type Result } from "../../shared/result.ts";
import type { Sql, SqlValue } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import * as audit from "../kernel/audit.ts";
import type { Handlers } from "../kernel/handlers.ts";
import { epochStart } from "../kernel/meta.ts";
import type { Actor, Tx } from "../kernel/tx.ts";
import * as rows from "./sync-rows.ts";
import { syncContents, syncDevices, syncIncoming, syncSessions } from "./sync-rows.ts";

/** Values per statement at the edge. */
const maxBound = 100;

/**
 * Inserts rows of long texts, which JSON would copy, with as few statements as the edge allows.
 * @param rows with the columns in their order
 */
function insertLongRows(sql: Sql, into: string, rows: readonly (readonly SqlValue[])[], suffix: string): void {
  const width = rows[0]?.length ?? 1;
  const perStatement = Math.floor(maxBound / width);
  const placeholders = `(${Array.from({ length: width }, () => "?").join(", ")})`;
  for (let first = 0; first < rows.length; first += perStatement) {
    const part = rows.slice(first, first + perStatement);
    sql.run(`INSERT INTO ${into} VALUES ${part.map(() => placeholders).join(", ")} ${suffix}`, ...part.flat());
  }
}

type Put = CheckedInputOf<"sync.put">;
type DeviceRow = RowOf<typeof syncDevices>;
type SessionRecord = Extract<SyncRecord, { readonly kind: "session" }>;
type ContentRecord = Exclude<SyncRecord, SessionRecord>;

export const handlers = {
  /** One transaction; each record has an outcome of its own. Deletions come first. */
  "sync.put"(tx, { device, keyId, records, forgotten }, actor) {
    const sums = rows.totals(tx.sql);
    const own = register(tx, sums, actor, { device, keyId });
    if (!own.ok) return own;
    forget(tx, sums, device, forgotten);
    const results = new Store(tx, sums, own.value, records).put();
    rows.saveTotals(tx.sql, sums);
    syncDevices.put(tx.sql, own.value);
    tx.tell({ kind: "sync", machine: actor.machine, isDeath: false });
    const since = Math.max(own.value.since, epochStart(tx));
    return ok({ since, revision: sums.revision, results } satisfies OutputOf<"sync.put">);
  },
} satisfies Partial<Handlers>;

const maxDevices = 1_000;

/** The device, from its first put on for its own machine alone. */
function register(
  tx: Tx,
  sums: rows.Totals,
  { machine }: Actor,
  { device, keyId }: Pick<Put, "device" | "keyId">,
): Result<DeviceRow> {
  const known = syncDevices.find(tx.sql, { device });
  if (known && known.machine !== machine) {
    const message = `device ${device} belongs to machine ${known.machine}, and this token is for ${machine}; a copied home needs its own device`;
    return fail("forbidden", message);
  }
  if (sums.keyId !== null && sums.keyId !== keyId) {
    const message = `the workspace seals under key ${sums.keyId}, not under ${keyId}; bring the code of that key to this machine`;
    return err({ code: "wrong_key", message, details: { keyId: sums.keyId } });
  }
  sums.keyId = keyId;
  if (known) return ok({ ...known, putAt: tx.now });
  if (syncDevices.count(tx.sql) >= maxDevices) {
    const message = `a workspace has at most ${maxDevices} devices; purge some (sync.purge)`;
    return fail("quota_exceeded", message);
  }
  const since = rows.nextRevision(tx, sums);
  audit.append(tx, { kind: "sync.begun", subject: device, actor: machine, detail: {} });
  return ok({ device, machine, since, putAt: tx.now });
}

function forget(tx: Tx, sums: rows.Totals, device: string, forgotten: Put["forgotten"]): void {
  const isWhole = ({ checkpoint }: Put["forgotten"][number]): boolean => checkpoint === undefined;
  const sessions = forgotten.filter(isWhole).map(({ session }) => session);
  if (sessions.length > 0)
    rows.forgetSessions(tx, sums, `device = ? AND ${among("session")}`, device, JSON.stringify(sessions));
  const checkpoints = forgotten.filter((one) => !isWhole(one));
  if (checkpoints.length === 0) return;
  rows.removeContents(
    tx,
    sums,
    `device = ? AND (session, checkpoint) IN (SELECT value ->> 'session', value ->> 'checkpoint' FROM json_each(?))`,
    device,
    JSON.stringify(checkpoints),
  );
}

function among(column: string): string {
  return `${column} IN (SELECT value FROM json_each(?))`;
}

/** Content becomes a little younger in transit; the same content may be sealed again. */
const transitMs = 30_000;
const maxExpiredRows = 1_000;

/** The stored record of a name. */
interface Stored {
  readonly version: number;
  readonly at: number;
  readonly chars: number;
  readonly isEnded: boolean;
}

const closed: PutResult = { outcome: "closed", version: 0 };
const older: PutResult = { outcome: "older", version: 0 };
const full: PutResult = { outcome: "full", version: 0 };
const stored: PutResult = { outcome: "stored", version: 0 };

/** Decides about the records one after the other, then writes them with a few statements. */
class Store {
  readonly #tx: Tx;
  readonly #sums: rows.Totals;
  readonly #device: DeviceRow;
  readonly #records: readonly SyncRecord[];
  readonly #sessions: Map<string, Stored>;
  readonly #contents: Map<string, Stored>;
  readonly #newSessions: [SessionRecord, version: number][] = [];
  readonly #newContents: ContentRecord[] = [];
  /** Sessions of the machine; null: not counted yet. */
  #ofMachine: number | null = null;

  constructor(tx: Tx, sums: rows.Totals, device: DeviceRow, records: readonly SyncRecord[]) {
    const size = records.reduce((sum, { envelope }) => sum + envelope.length, 0);
    const { maxSyncChars, maxSyncRecords } = tx.settings;
    if (sums.chars + size > maxSyncChars || sums.records + records.length > maxSyncRecords)
      rows.expire(tx, sums, maxExpiredRows);
    this.#tx = tx;
    this.#sums = sums;
    this.#device = device;
    this.#records = records;
    const names = JSON.stringify([...new Set(records.map(({ session }) => session))]);
    this.#sessions = this.#read(`session AS name, version, isEnded`, "sync_sessions", names);
    const isContent = records.some(({ kind }) => kind !== "session");
    const content = `session || ' ' || kind || ' ' || item AS name, 0 AS version, 0 AS isEnded`;
    this.#contents = isContent ? this.#read(content, "sync_contents", names) : new Map<string, Stored>();
  }

  #read(columns: string, table: string, sessions: string): Map<string, Stored> {
    const found = this.#tx.sql.all<Omit<Stored, "isEnded"> & { name: string; isEnded: number }>(
      `SELECT ${columns}, at, chars FROM json_each(?) CROSS JOIN ${table} ON session = value AND device = ?`,
      sessions,
      this.#device.device,
    );
    return new Map(found.map(({ name, isEnded, ...row }) => [name, { ...row, isEnded: isEnded === 1 }]));
  }

  put(): PutResult[] {
    const results = this.#records.map((record) =>
      record.kind === "session" ? this.#putSession(record) : this.#putContent(record),
    );
    this.#write();
    return results;
  }

  /**
   * Replaces the version that this home has read, else only what is not younger: a copied or
   * restored home does not undo what was stored meanwhile.
   */
  #putSession(record: SessionRecord): PutResult {
    const before = this.#sessions.get(record.session);
    const at = this.#createdAt(record);
    if (before && before.version !== record.replaces && isOlder(at, before))
      return { outcome: "older", version: before.version };
    if (!before && !this.#hasRoomForSession()) return full;
    if (!this.#hasRoom(record, before, 1)) return full;
    if (!before) this.#ofMachine = (this.#ofMachine ?? 0) + 1;
    const version = rows.nextRevision(this.#tx, this.#sums);
    this.#sessions.set(record.session, { version, at, chars: record.envelope.length, isEnded: record.isEnded });
    this.#newSessions.push([record, version]);
    return { outcome: "stored", version };
  }

  /** Files for an open session only, and only in half of the room. */
  #putContent(record: ContentRecord): PutResult {
    const session = this.#sessions.get(record.session);
    if (!session || session.isEnded) return closed;
    const name = `${record.session} ${record.kind} ${itemOf(record)}`;
    const before = this.#contents.get(name);
    const at = this.#createdAt(record);
    if (record.kind === "part" && before) return stored;
    if (before && isOlder(at, before)) return older;
    if (!this.#hasRoom(record, before, 0.5)) return full;
    this.#contents.set(name, { version: 0, at, chars: record.envelope.length, isEnded: false });
    this.#newContents.push(record);
    return stored;
  }

  #createdAt({ ageMs }: SyncRecord): number {
    return Math.max(0, this.#tx.now - ageMs);
  }

  #hasRoomForSession(): boolean {
    this.#ofMachine ??= rows.countSessionsOfMachine(this.#tx.sql, this.#device.machine);
    return this.#ofMachine < this.#tx.settings.maxSyncSessionsPerMachine;
  }

  /** A record that needs no additional room is never refused. */
  #hasRoom({ envelope }: SyncRecord, before: Stored | undefined, share: number): boolean {
    const growth = envelope.length - (before?.chars ?? 0);
    const { maxSyncChars, maxSyncRecords } = this.#tx.settings;
    if (growth > 0 && this.#sums.chars + growth > Math.floor(maxSyncChars * share)) return false;
    if (!before && this.#sums.records >= Math.floor(maxSyncRecords * share)) return false;
    this.#sums.chars += growth;
    if (!before) this.#sums.records += 1;
    return true;
  }

  #write(): void {
    const { sql, now } = this.#tx;
    const { device, machine } = this.#device;
    const sessions = this.#newSessions.map(([record, version]) => {
      const { session, checkpoint, project, isEnded, envelope } = record;
      const at = this.#createdAt(record);
      return [
        version,
        session,
        device,
        machine,
        checkpoint,
        project,
        isEnded ? 1 : 0,
        version,
        at,
        now,
        envelope.length,
        envelope,
      ];
    });
    insertLongRows(sql, `sync_sessions (${sessionColumns})`, sessions, replaceSession);
    const contents = this.#newContents.map((record) => {
      const { session, kind, checkpoint, bundle, envelope } = record;
      const item = itemOf(record);
      const at = this.#createdAt(record);
      return [session, device, kind, item, checkpoint, bundle, at, envelope.length, envelope];
    });
    insertLongRows(sql, `sync_contents (${syncContents.columns()})`, contents, replaceContent);
    this.#prune();
  }

  /** Files that are over or replaced. */
  #prune(): void {
    const { device } = this.#device;
    const remove = (where: string, ...values: string[]): unknown =>
      rows.removeContents(this.#tx, this.#sums, `device = ? AND ${where}`, device, ...values);
    const ended = this.#newSessions.filter(([{ isEnded }]) => isEnded).map(([{ session }]) => session);
    if (ended.length > 0) remove(among("session"), JSON.stringify(ended));
    for (const { kind, session, bundle } of this.#newContents) {
      const incoming = syncIncoming.find(this.#tx.sql, { session, device });
      if (kind === "files") {
        remove("session = ? AND kind = 'part' AND bundle <> ?", session, bundle);
        if (incoming) syncIncoming.delete(this.#tx.sql, { session, device });
      } else if (incoming?.bundle !== bundle) {
        // A session has one incoming bundle: a part of another one ends it.
        if (incoming) rows.endIncoming(this.#tx, this.#sums, incoming);
        const complete = syncContents.find(this.#tx.sql, { session, device, kind: "files", item: "" });
        if (complete?.bundle === bundle) continue;
        syncIncoming.insert(this.#tx.sql, { session, device, bundle, begunAt: this.#tx.now });
      }
    }
  }
}

const sessionColumns = syncSessions.without("takenChat", "takenMachine").columns();
const replaceSession = `ON CONFLICT (session, device) DO UPDATE SET
  revision = excluded.revision, machine = excluded.machine, checkpoint = excluded.checkpoint, project = excluded.project, isEnded = excluded.isEnded,
  version = excluded.version, at = excluded.at, changedAt = excluded.changedAt, chars = excluded.chars,
  envelope = excluded.envelope`;
const replaceContent = `ON CONFLICT (session, device, kind, item) DO UPDATE SET
  checkpoint = excluded.checkpoint, bundle = excluded.bundle, at = excluded.at, chars = excluded.chars,
  envelope = excluded.envelope`;

function isOlder(at: number, before: Stored): boolean {
  return at < before.at - transitMs;
}

/** Name of a record among those of its kind and session. */
function itemOf(record: ContentRecord): string {
  return record.kind === "part" ? partItem(record) : "";
}

export function partItem({ bundle, part }: { readonly bundle: string; readonly part: number }): string {
  return `${bundle}.${part}`;
}
