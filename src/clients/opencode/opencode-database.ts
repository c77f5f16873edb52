import { isUtf8 } from "node:buffer";
import { readdirSync, existsSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { codeOf } from "../../shared/error.ts";
import { numberAt, objectAt, parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { withConnection, type Connection, type Driver } from "../../store/driver.ts";
import type { SessionDatabase, StoredSession, UnreadFolder } from "../adapter/client-details.ts";
import { readBytes, type TranscriptHead } from "../transcript/transcript-file.ts";

/**
 * Sessions that OpenCode 1 kept in a file for each session, message and part before it had a
 * database: `session/<project>/<id>.json`, and so on below `message/<session>`, `part/<message>`.
 * OpenCode 1.18.33 reads none of them, with a database or without, and `opencode import` takes
 * one document of a session, its messages and their parts: both were seen.
 *
 * @param root the folder `storage`
 * @param known ids of sessions that are in a database
 */
function listFolders(root: string, known: ReadonlySet<string>): ReturnType<OldFolder["list"]> {
  const unread: UnreadFolder[] = [];
  const namesIn = (folder: string): string[] => {
    const read = readNames(folder);
    if (!read.ok) unread.push({ file: folder, why: read.error });
    return read.ok ? read.value : [];
  };
  const jsonIn = (folder: string): string[] => jsonOf(folder, namesIn(folder));
  const files = namesIn(join(root, "session")).flatMap((project) => jsonIn(join(root, "session", project)));
  const fileOf = new Map(files.map((path) => [idOf(path), path]));
  // The file of a session may be lost, and its messages not.
  const ids = new Set([...fileOf.keys(), ...namesIn(join(root, "message"))]);
  const lost = [...ids].filter((id) => !known.has(id));
  return { sessions: lost.map((id) => readOldSession(root, id, fileOf.get(id) ?? null, jsonIn)), unread };
}

type OldFolder = NonNullable<SessionDatabase["before"]>;

function idOf(path: string): string {
  return basename(path, ".json");
}

/** Names in a folder; none where it is absent, or a file. */
function readNames(folder: string): Result<string[], string> {
  try {
    return ok(readdirSync(folder).toSorted());
  } catch (error) {
    const code = codeOf(error);
    if (code === null) throw error;
    return code === "ENOENT" || code === "ENOTDIR" ? ok([]) : err(`it cannot be read (${code})`);
  }
}

function jsonOf(folder: string, names: readonly string[]): string[] {
  return names.filter((name) => name.endsWith(".json")).map((name) => join(folder, name));
}

const hidden =
  "OpenCode does not read its old folder `storage`, and no database has it: `opencode import` takes it as one file, {info, messages: [{info, parts}]}";

/** @param jsonIn paths of the documents in a folder */
function readOldSession(
  root: string,
  id: string,
  path: string | null,
  jsonIn: (folder: string) => readonly string[],
): StoredSession {
  const damages: { what: string; bytes: number; file?: string }[] = [];
  let [rows, bytes, prompts] = [0, 0, 0];
  const read = (file: string): JsonObject | null => {
    rows += 1;
    const found = readJson(file);
    bytes += found.bytes;
    if (found.problem !== null) damages.push({ what: found.problem, bytes: found.bytes, file });
    return found.value;
  };
  const info = path === null ? null : read(path);
  if (path === null) damages.push({ what: "the file that names the session is gone", bytes: 0 });
  for (const message of jsonIn(join(root, "message", id))) {
    if (read(message)?.["role"] === "user") prompts += 1;
    for (const part of jsonIn(join(root, "part", idOf(message)))) read(part);
  }
  return {
    id,
    title: textAt(info, "title", 200),
    folder: textAt(info, "directory", 4_096),
    changedAt: numberAt(objectAt(info, "time"), "updated") ?? 0,
    rows,
    bytes,
    prompts,
    damages,
    subagents: 0,
    file: path ?? join(root, "message", id),
    hidden,
  };
}

interface ReadJson {
  readonly value: JsonObject | null;
  readonly bytes: number;
  /** Ends no sentence; null: there is none. */
  readonly problem: string | null;
}

function readJson(file: string): ReadJson {
  try {
    const { bytes } = readBytes(file);
    const value = parseObject(bytes.toString("utf8"));
    return { value, bytes: bytes.length, problem: value === null ? basename(file) : null };
  } catch (error) {
    const code = codeOf(error);
    if (code === null) throw error;
    return { value: null, bytes: 0, problem: `${basename(file)} cannot be read (${code})` };
  }
}

interface SessionInDatabase {
  readonly head: TranscriptHead;
  readonly messages: readonly (JsonObject | null)[];
}

/** First bytes of an SQLite database. */
const fileHeader = Buffer.from("SQLite format 3\0");
const busyMs = 2_000;
/** Ids that an error names. */
const maxNamed = 5;

/** False also for a file that cannot be read. */
export function isDatabase(path: string): boolean {
  try {
    return readBytes(path, fileHeader.length).bytes.equals(fileHeader);
  } catch (error) {
    if (codeOf(error) === null) throw error;
    return false;
  }
}

/**
 * The session of a database of OpenCode, with what its log has not written back yet.
 *
 * @param session its id; null: the only one
 */
export function readDatabase(
  path: string,
  driver: Driver,
  session: string | null = null,
): Result<SessionInDatabase, string> {
  return read(path, driver, (db) => readSession(db, session, path));
}

function read<T>(path: string, driver: Driver, use: (db: Connection) => Result<T, string>): Result<T, string> {
  try {
    return withConnection(driver({ path, readOnly: true, busyMs }), use);
  } catch (error) {
    const code = codeOf(error);
    if (code === null) throw error;
    return err(`it cannot be read as a database (${code})`);
  }
}

const dataFolder = [".local", "share", "opencode"];

function folderOf(env: NodeJS.ProcessEnv): string {
  const given = env["XDG_DATA_HOME"];
  return given ? join(given, "opencode") : join(env["HOME"] || homedir(), ...dataFolder);
}

/** OpenCode names the file of a channel besides `latest` after it. */
export const openCodeStore: SessionDatabase = {
  paths(env) {
    const folder = folderOf(env);
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => /^opencode[\w-]*\.db$/.test(name)) : [];
    return names.length === 0 ? [join(folder, "opencode.db")] : names.toSorted().map((name) => join(folder, name));
  },
  list: (path, driver) => read(path, driver, listSessions),
  find: (path, driver, prefix) => read(path, driver, (db) => ok(idsIn(db, prefix))),
  changedSince: (path, driver, since) => read(path, driver, (db) => ok(changedIn(db, since))),
  before: { path: (env) => join(folderOf(env), "storage"), list: listFolders },
};

function listSessions(db: Connection): ReturnType<SessionDatabase["list"]> {
  const [check] = db.all<{ quick_check: string }>("PRAGMA quick_check(1)");
  const problem = check === undefined || check.quick_check === "ok" ? null : check.quick_check;
  const { tables, known } = sourcesIn(db);
  if (known.length === 0) return err(notOurs);
  const found = new Map<string, StoredSession>();
  const ids: string[] = [];
  for (const { sessions: table, messages, parts } of known) {
    const rows = db.all<ListedRow>(`SELECT * FROM ${table} ORDER BY time_updated`);
    ids.push(...rows.map(({ id }) => id));
    const own = new Set(rows.map(({ id }) => id));
    const children = Map.groupBy(rows, ({ parent_id: parent }) => parent);
    const texts = (id: string): StoredText[] =>
      [messages, ...(parts && tables.has(parts) ? [parts] : [])].flatMap((name) => textsOf(db, name, id));
    const isBegun = ({ parent_id: parent }: ListedRow): boolean => parent !== null && own.has(parent);
    const reached = new Set<string>();
    // Sessions that have begun each other in a circle are reached from none.
    for (const row of rows.toSorted((one, other) => Number(isBegun(one)) - Number(isBegun(other)))) {
      // OpenCode 2 keeps the sessions of OpenCode 1 in their tables, too.
      if (found.has(row.id) || reached.has(row.id)) continue;
      const begun = descendants(row.id, children);
      for (const id of begun) reached.add(id);
      const theirs = begun.flatMap((id) => texts(id).map((one) => Object.assign(one, { subagent: id })));
      found.set(row.id, toStored(row, [...texts(row.id), ...theirs], begun.length));
    }
  }
  return ok({ sessions: [...found.values()], ids, problem });
}

/** Sessions that a session has started, and those that they have; each once. */
function descendants(id: string, children: ReadonlyMap<string | null, readonly ListedRow[]>): string[] {
  const begun = new Set<string>();
  const open = [id];
  for (let next = open.pop(); next !== undefined; next = open.pop())
    for (const child of children.get(next) ?? []) {
      if (child.id === id || begun.has(child.id)) continue;
      begun.add(child.id);
      open.push(child.id);
    }
  return [...begun];
}

interface ListedRow extends SessionRow {
  readonly title?: string | null;
  readonly time_updated?: number | null;
}

interface StoredText {
  readonly what: string;
  readonly data: Buffer;
  /** Type of the message, where it stands beside its data. */
  readonly type: string | null;
  /** Session that this one has started; absent: its own. */
  readonly subagent?: string;
}

function textsOf(db: Connection, table: string, session: string): StoredText[] {
  const typed = sources.some(({ messages, parts }) => messages === table && parts === null);
  const query = `SELECT id, CAST(data AS BLOB) AS data, ${typed ? "type" : "NULL AS type"} FROM ${table} WHERE session_id = ?`;
  return db
    .all<{ id: string; data: Uint8Array; type: string | null }>(query, session)
    .map(({ id, data, type }) => ({ what: `row ${id} of ${table}`, data: Buffer.from(data), type }));
}

function toStored(row: ListedRow, texts: readonly StoredText[], subagents: number): StoredSession {
  const { id, directory: folder, title = null, time_updated: changedAt } = row;
  let [bytes, prompts] = [0, 0];
  const damages: { what: string; bytes: number }[] = [];
  for (const { what, data, type, subagent } of texts) {
    const size = data.length;
    bytes += size;
    const read = parseObject(data.toString());
    if (read === null || !isUtf8(data))
      damages.push({ what: subagent === undefined ? what : `sub-agent ${subagent}: ${what}`, bytes: size });
    if (subagent === undefined && (read?.["role"] ?? type ?? messageType(read)) === "user") prompts += 1;
  }
  return {
    id,
    title,
    folder,
    changedAt: changedAt ?? 0,
    rows: texts.length,
    bytes,
    prompts,
    damages,
    subagents,
  };
}

/** Type of a message; null: it is a part of one. */
function messageType(read: JsonObject | null): unknown {
  return read && !("sessionID" in read) ? read["type"] : null;
}

interface SessionRow {
  readonly id: string;
  readonly directory: string | null;
  readonly parent_id: string | null;
}

/** OpenCode 2 keeps the tables of OpenCode 1 beside its own, with the sessions of before. */
const sources = [
  { sessions: "session_v2", messages: "session_message", parts: null, read: secondVersion },
  { sessions: "session", messages: "message", parts: "part", read: firstVersion },
] as const;

const notOurs = "it is a database, and not one of OpenCode";

function sourcesIn(db: Connection) {
  const tables = new Set(db.all<{ name: string }>("SELECT name FROM sqlite_master").map(({ name }) => name));
  return { tables, known: sources.filter(({ sessions, messages }) => tables.has(sessions) && tables.has(messages)) };
}

/** @param prefix of an id */
function idsIn(db: Connection, prefix: string): string[] {
  const ids = sourcesIn(db).known.flatMap(({ sessions }) =>
    db.all<{ id: string }>(`SELECT id FROM ${sessions} WHERE substr(id, 1, ?) = ?`, prefix.length, prefix),
  );
  return [...new Set(ids.map(({ id }) => id))];
}

function changedIn(db: Connection, since: number): Pick<StoredSession, "id" | "changedAt">[] {
  const own = "parent_id IS NULL AND time_updated >= ?";
  return sourcesIn(db).known.flatMap(({ sessions }) =>
    db.all(`SELECT id, time_updated AS changedAt FROM ${sessions} WHERE ${own}`, since),
  );
}

function readSession(db: Connection, given: string | null, path: string): Result<SessionInDatabase, string> {
  const { known } = sourcesIn(db);
  if (known.length === 0) return err(notOurs);
  const found = new Map<string, SessionRow & { readonly read: typeof firstVersion }>();
  for (const { sessions, read } of known)
    for (const row of db.all<SessionRow>(`SELECT id, directory, parent_id FROM ${sessions} ORDER BY time_updated DESC`))
      if ((given === null ? row.parent_id === null : row.id === given) && !found.has(row.id))
        found.set(row.id, { ...row, read });
  const [first, ...others] = found.values();
  if (!first) return err(given === null ? "it holds no session" : `it holds no session ${given}`);
  if (others.length > 0) {
    const ids = [...found.keys()];
    const more = ids.length > maxNamed ? ` and ${ids.length - maxNamed} more` : "";
    const which = `${ids.slice(0, maxNamed).join(", ")}${more}`;
    const command = `shim resume ${ids[0]} --from-transcript ${/^[\w./-]+$/.test(path) ? path : `"${path}"`}`;
    return err(`it is a database of OpenCode with ${ids.length} sessions (${which}): name one, such as \`${command}\``);
  }
  const { id, directory, parent_id: parent } = first;
  return ok({ head: { client: "opencode", session: id, cwd: directory, parent }, messages: first.read(db, id) });
}

function secondVersion(db: Connection, session: string): (JsonObject | null)[] {
  const query = "SELECT id, type, data FROM session_message WHERE session_id = ? ORDER BY seq";
  return db.all<{ id: string; type: string; data: string }>(query, session).map(({ id, type, data }) => {
    const message = parseObject(data);
    return message && Object.assign({}, message, { id, type });
  });
}

function firstVersion(db: Connection, session: string): (JsonObject | null)[] {
  const parts = Map.groupBy(
    db.all<{ message_id: string; data: string }>(
      "SELECT message_id, data FROM part WHERE session_id = ? ORDER BY message_id, id",
      session,
    ),
    ({ message_id: message }) => message,
  );
  const query = "SELECT id, data FROM message WHERE session_id = ? ORDER BY time_created, id";
  const messages: (JsonObject | null)[] = [];
  for (const { id, data } of db.all<{ id: string; data: string }>(query, session)) {
    const info = parseObject(data);
    const own = (parts.get(id) ?? []).map((part) => parseObject(part.data));
    const read = own.filter((part) => part !== null);
    messages.push(info && { info: { ...info, id }, parts: read });
    // The words of a damaged part are unknown.
    if (read.length < own.length) messages.push(null);
  }
  return messages;
}
