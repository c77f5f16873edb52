import * as z from "zod";
import { Ending } from "../contract/ending.ts";
import { JournalEntry } from "../contract/journal.ts";
import { WorkState } from "../contract/work-state.ts";
import { messageOf } from "../shared/error.ts";
import { formatIssues } from "../shared/bad-input.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Sql, SqlValue } from "../shared/sql.ts";
import type { Column, RowOf } from "../shared/table.ts";
import { decode, encode } from "./checkpoint-body.ts";
import {
  checkpoints,
  crashes,
  journal,
  raiseJournalSequence,
  recoveries,
  sessions,
  signals,
} from "./session-tables.ts";
import type { Store } from "./store.ts";

/** Stored in users' files: a change raises `version`. Limits are only against hostile files. */
const format = "shim-export";
const version = 3;
const maxLineChars = 16 * 1024 * 1024;

/** Columns that are valid on other machines, so none of its processes. */
const exported = {
  session: sessions.without("machine", "owner", "riskMark", "workedAt"),
  journal: journal.without("kind", "body"),
  checkpoint: checkpoints.without("seq", "rawBytes", "body"),
  signal: signals,
  crash: crashes,
  recovery: recoveries.without("seq"),
};

type Exported = typeof exported;
type Line<Type extends keyof Exported, Added = unknown> = { readonly type: Type } & RowOf<Exported[Type]> & Added;
type CheckpointLine = Line<"checkpoint", { readonly state: WorkState }>;
type Entry =
  | Line<"session">
  | Line<"journal", { readonly body: JournalEntry }>
  | CheckpointLine
  | Line<"signal">
  | Line<"crash">
  | Line<"recovery">;

const id = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[\w.:@][\w.:@-]*$/, "an id has letters, digits and .:@_- only, and no - at its beginning");
const byName: Readonly<Record<string, z.ZodType>> = {
  id,
  session: id,
  parentId: z.nullable(id),
  hash: z.string().regex(/^[0-9a-f]{64}$/, "a SHA-256 in hex"),
  readings: z.record(z.string(), z.unknown()),
  ending: Ending,
  isScripts: z.boolean().default(false),
};
const byType: Readonly<Record<string, z.ZodType>> = {
  TEXT: z.string().max(1_000_000),
  INTEGER: z.int().min(0),
  REAL: z.number(),
};

interface DeclaredLine {
  readonly names: readonly string[];
  readonly declared: Readonly<Record<string, Column<unknown, boolean>>>;
}

function lineOf(type: keyof Exported, added: Readonly<Record<string, z.ZodType>> = {}) {
  const { names, declared }: DeclaredLine = exported[type];
  const fields = names.map((name) => {
    const { type: stored = "TEXT", isNullable } = declared[name]?.parts ?? {};
    const schema = byName[name] ?? byType[stored] ?? z.never();
    return [name, isNullable ? z.nullable(schema) : schema] as const;
  });
  return z.strictObject({ type: z.literal(type), ...Object.fromEntries(fields), ...added });
}

const Header = z.strictObject({
  type: z.literal("header"),
  format: z.literal(format),
  version: z.literal(version),
  exportedAt: z.int().min(0),
});

const Lines = z.discriminatedUnion("type", [
  lineOf("session"),
  lineOf("journal", { body: JournalEntry }),
  lineOf("checkpoint", { state: WorkState }),
  lineOf("signal", { score: z.number().min(0).max(1) }),
  lineOf("crash"),
  lineOf("recovery", { detail: z.record(z.string(), z.unknown()) }),
]);

export interface ExportFilter {
  readonly session?: string;
  readonly project?: string;
  readonly since?: number;
}

/**
 * Reads in portions: consume it within one read. Contains no git snapshots.
 * @throws {Error} when a checkpoint's body does not match its hash
 */
export function* exportLines(sql: Sql, now: number, filter: ExportFilter = {}): Generator<string> {
  yield JSON.stringify({ type: "header", format, version, exportedAt: now });
  const { session = null, project = null, since = 0 } = filter;
  const where = "(? IS NULL OR id = ?) AND (? IS NULL OR project = ?) AND lastSeenAt >= ?";
  const found = [session, session, project, project, since];
  for (const row of rowsOf(sql, exported.session, "id", "", where, found)) {
    yield toLine("session", row);
    yield* sessionLines(sql, row.id);
  }
}

function* sessionLines(sql: Sql, session: string): Generator<string> {
  const [where, found] = ["session = ?", [session]];
  for (const { kind, body, ...row } of rowsOf(sql, journal, "seq", -1, where, found))
    yield toLine("journal", { ...row, body: { kind, ...body } });
  for (const { seq: _seq, rawBytes: _bytes, body, ...row } of rowsOf(sql, checkpoints, "seq", -1, where, found))
    yield toLine("checkpoint", { ...row, state: decode(body, row.hash) });
  for (const row of rowsOf(sql, signals, "at", -1, where, found)) yield toLine("signal", row);
  for (const row of rowsOf(sql, crashes, "at", -1, where, found)) yield toLine("crash", row);
  for (const { seq: _seq, ...row } of rowsOf(sql, recoveries, "seq", -1, where, found)) yield toLine("recovery", row);
}

interface Readable<Row> {
  select(sql: Sql, rest: string, ...values: readonly SqlValue[]): Row[];
}

/** @param key orders the rows @param first below all of its values */
function* rowsOf<Key extends string, Row extends Readonly<Record<Key, string | number>>>(
  sql: Sql,
  table: Readable<Row>,
  key: Key,
  first: string | number,
  where: string,
  found: readonly SqlValue[],
): Generator<Row> {
  for (let last: string | number | undefined = first; last !== undefined;) {
    const rows: Row[] = table.select(sql, `WHERE ${where} AND ${key} > ? ORDER BY ${key} LIMIT 100`, ...found, last);
    yield* rows;
    last = rows.at(-1)?.[key];
  }
}

function toLine(type: keyof Exported, row: object): string {
  return JSON.stringify({ type, ...row });
}

interface Refusal {
  readonly line: number;
  readonly reason: string;
}

export interface ImportResult {
  readonly added: number;
  readonly skipped: number;
  /** One refusal means that nothing is added. At most {@link maxRefusals}. */
  readonly refused: readonly Refusal[];
}

const maxRefusals = 20;

/** Ends the transaction, so that nothing was added. */
class RefusedLines extends Error {
  readonly refused: readonly Refusal[];

  constructor(refused: readonly Refusal[]) {
    super("lines were refused");
    this.refused = refused;
  }
}

/**
 * Adds what the store lacks, all of it or nothing; a repeat adds nothing.
 *
 * @param lines may be called twice
 */
export function importLines(store: Store, lines: () => Iterable<string>): ImportResult {
  try {
    return { ...store.write((sql) => addLines(sql, lines())), refused: [] };
  } catch (error) {
    if (!(error instanceof RefusedLines)) throw error;
    return { added: 0, skipped: 0, refused: error.refused };
  }
}

/** @throws {RefusedLines} after all that were read are checked */
function addLines(sql: Sql, lines: Iterable<string>): Pick<ImportResult, "added" | "skipped"> {
  const check = new LineCheck();
  const refused: Refusal[] = [];
  let progress: Progress = { added: 0, skipped: 0, newestAt: null };
  let line = 0;
  for (const text of lines) {
    line += 1;
    if (line > 1 && text.trim() === "") continue;
    const parsed = parse(text);
    const checked = parsed.ok ? check.next(parsed.value, line) : { reason: parsed.error };
    if (checked.reason !== undefined) refused.push({ line, reason: checked.reason });
    else if (refused.length === 0) progress = addLine(sql, progress, checked);
    if (refused.length === maxRefusals) break;
  }
  if (line === 0) refused.push({ line: 1, reason: "the file is empty" });
  if (refused.length > 0) throw new RefusedLines(refused);
  raiseJournalSequence(sql);
  const { added, skipped } = progress;
  return { added, skipped };
}

/** Without an entry: the header, or with the reason why it is refused. */
interface CheckedLine {
  readonly entry?: Entry;
  readonly reason?: string;
  /** Key of the last journal entry of a checkpoint. */
  readonly folded?: string | undefined;
}

function parse(text: string): Result<unknown, string> {
  if (text.length > maxLineChars) return err(`the line is longer than ${maxLineChars} characters`);
  try {
    const value: unknown = JSON.parse(text);
    // Rejects values nested too deeply to be stringified again.
    JSON.stringify(value);
    return ok(value);
  } catch (error) {
    return err(`not one JSON value: ${messageOf(error)}`);
  }
}

/** Check of a line against those before it. */
class LineCheck {
  readonly #sessions = new Set<string>();
  #session: string | null = null;
  /** Journal of that session. */
  #journal: { readonly seq: number; readonly key: string }[] = [];

  next(value: unknown, line: number): CheckedLine {
    if (line === 1) {
      const expected = `the first line must say format "${format}", version ${version}`;
      return Header.safeParse(value).success ? {} : { reason: `not an export that this shim reads: ${expected}` };
    }
    const parsed = Lines.safeParse(value);
    if (!parsed.success) return { reason: formatIssues(parsed.error) };
    // The same value: a checkpoint's hash covers the order of its fields.
    const entry = value as Entry;
    const reason = entry.type === "session" ? this.#begin(entry.id) : this.#check(entry);
    if (reason !== null) return { reason };
    if (entry.type !== "checkpoint") return { entry };
    return { entry, folded: this.#journal.findLast(({ seq }) => seq <= entry.journalSeq)?.key };
  }

  #begin(session: string): string | null {
    if (this.#sessions.has(session)) return `session ${session} appears twice`;
    this.#sessions.add(session);
    this.#session = session;
    this.#journal = [];
    return null;
  }

  #check(entry: Exclude<Entry, { type: "session" }>): string | null {
    if (this.#session !== entry.session)
      return `a ${entry.type} of session ${entry.session} must follow the line of that session`;
    if (entry.type === "journal") {
      if (entry.seq <= (this.#journal.at(-1)?.seq ?? -1)) return "the journal is out of order";
      this.#journal.push(entry);
    }
    const isChanged = entry.type === "checkpoint" && encode(entry.state).hash !== entry.hash;
    return isChanged ? `checkpoint ${entry.id} was changed: its state does not match its hash` : null;
  }
}

interface Progress {
  readonly added: number;
  readonly skipped: number;
  /** Time of the session's newest checkpoint before the import; null when there was none. */
  readonly newestAt: number | null;
}

const skipKnown = "ON CONFLICT DO NOTHING";
const times = checkpoints.pick("at");

function addLine(sql: Sql, { added, skipped, newestAt }: Progress, { entry, folded }: CheckedLine): Progress {
  if (!entry) return { added, skipped, newestAt };
  const isSession = entry.type === "session";
  const newest = isSession
    ? times.select(sql, "WHERE session = ? ORDER BY seq DESC LIMIT 1", entry.id)[0]?.at
    : newestAt;
  // An older checkpoint was pruned, and added now would count as the newest.
  const isPruned = entry.type === "checkpoint" && newest !== null && newest !== undefined && entry.at < newest;
  const rows = isPruned ? 0 : addEntry(sql, entry, folded);
  return { added: added + rows, skipped: skipped + 1 - rows, newestAt: newest ?? null };
}

/** @returns 1, or 0 for what is there already */
function addEntry(sql: Sql, entry: Entry, folded: string | undefined): number {
  switch (entry.type) {
    case "session":
      return sessions.insert(sql, entry, skipKnown);
    case "journal": {
      const { session, at, key } = entry;
      const { kind, ...body } = entry.body;
      return journal.insert(sql, { session, at, kind, key, body }, skipKnown);
    }
    case "checkpoint": {
      const { state, ...row } = entry;
      const journalSeq = (folded !== undefined && journal.find(sql, { session: row.session, key: folded })?.seq) || 0;
      return checkpoints.insert(sql, { ...row, ...encode(state), journalSeq }, skipKnown);
    }
    case "signal":
      return signals.insert(sql, entry, skipKnown);
    case "crash":
      return crashes.insert(sql, entry, skipKnown);
    case "recovery": {
      const { session, at, action } = entry;
      return recoveries.has(sql, { session, at, action }) ? 0 : recoveries.insert(sql, entry);
    }
  }
}
