import { messageOf } from "../shared/error.ts";
import type { Sql, SqlValue } from "../shared/sql.ts";
import { encode } from "./checkpoint-body.ts";
import { raiseJournalSequence } from "./journal-sequence.ts";
import {
  Entry,
  exportFormat,
  Header,
  maxLineChars,
  exportVersion,
  type CheckpointEntry,
  type JournalEntry,
  type RecoveryEntry,
  type SessionEntry,
} from "./transfer-format.ts";

export interface ImportResult {
  readonly added: number;
  readonly skipped: number;
  /** One refusal means that nothing is added. At most {@link maxRefusals}. */
  readonly refused: readonly { readonly line: number; readonly reason: string }[];
}

const maxRefusals = 20;

/**
 * [ST71] Adds what the store lacks; a repeat adds nothing. [ST72] Adds nothing if one line is bad.
 * Requires one surrounding write.
 */
export function importLines(sql: Sql, lines: Iterable<string>): ImportResult {
  sql.run("SAVEPOINT import");
  const run = new ImportRun(sql);
  try {
    let number = 0;
    for (const line of lines) {
      number++;
      run.addLine(line, number);
      if (run.refused.length >= maxRefusals) break;
    }
    if (number === 0) run.refuse(1, "the file is empty");
    raiseJournalSequence(sql);
  } finally {
    if (run.refused.length > 0) sql.run("ROLLBACK TO import");
    sql.run("RELEASE import");
  }
  return run.refused.length > 0
    ? { added: 0, skipped: 0, refused: run.refused }
    : { added: run.added, skipped: run.skipped, refused: [] };
}

interface CurrentSession {
  readonly id: string;
  /** Time of the newest checkpoint before the import; null when there was none. */
  readonly newestAt: number | null;
  readonly journal: (readonly [number, number])[];
}

class ImportRun {
  added = 0;
  skipped = 0;
  readonly refused: { line: number; reason: string }[] = [];
  readonly #sql: Sql;
  readonly #seen = new Set<string>();
  #current: CurrentSession | null = null;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  refuse(line: number, reason: string): void {
    this.refused.push({ line, reason });
  }

  addLine(text: string, number: number): void {
    if (number > 1 && text.trim() === "") return;
    const parsed = parse(text);
    if (!parsed.ok) return this.refuse(number, parsed.reason);
    if (number === 1) return this.#checkHeader(parsed.value);
    const entry = Entry.safeParse(parsed.value);
    if (!entry.success) return this.refuse(number, reasonOf(entry.error));
    // The hash covers the file's field order, which the schemas do not keep.
    const reason = this.#add({
      ...entry.data,
      ...pick(parsed.value, ["body", "state", "readings", "detail"]),
    });
    if (reason !== null) this.refuse(number, reason);
  }

  #checkHeader(value: unknown): void {
    const header = Header.safeParse(value);
    if (header.success) return;
    this.refuse(
      1,
      `not an export that this shim reads: the first line must say format "${exportFormat}", version ${exportVersion}`,
    );
  }

  #add(entry: Entry): string | null {
    if (entry.type === "session") return this.#addSession(entry);
    const current = this.#current;
    if (!current || current.id !== entry.session_id) {
      return `a ${entry.type} of session ${entry.session_id} must follow the line of that session`;
    }
    if (entry.type === "journal") return this.#addJournal(entry, current);
    if (entry.type === "checkpoint") return this.#addCheckpoint(entry, current);
    if (entry.type === "recovery") return this.#addRecovery(entry);
    const { type, readings, ...row } = entry;
    const table = type === "signal" ? "signals" : "crashes";
    return this.#countAdded(insert(this.#sql, table, { ...row, readings: JSON.stringify(readings) }));
  }

  #addSession(entry: SessionEntry): string | null {
    if (this.#seen.has(entry.id)) return `session ${entry.id} comes twice`;
    this.#seen.add(entry.id);
    const [newest] = this.#sql.all<{ at: number }>(
      "SELECT at FROM checkpoints WHERE session_id = ? ORDER BY seq DESC LIMIT 1",
      entry.id,
    );
    this.#current = { id: entry.id, newestAt: newest?.at ?? null, journal: [] };
    const { type: _, readings, ...row } = entry;
    return this.#countAdded(insert(this.#sql, "sessions", { ...row, readings: JSON.stringify(readings) }));
  }

  #addJournal(entry: JournalEntry, current: CurrentSession): string | null {
    if (entry.seq <= (current.journal.at(-1)?.[0] ?? -1)) return "the journal is not in its order";
    const { session_id, at, key } = entry;
    const { kind, ...body } = entry.body;
    const added = insert(this.#sql, "journal", { session_id, at, kind, key, body: JSON.stringify(body) });
    const [row] = this.#sql.all<{ seq: number }>(
      "SELECT seq FROM journal WHERE session_id = ? AND key = ?",
      session_id,
      key,
    );
    current.journal.push([entry.seq, row?.seq ?? 0]);
    return this.#countAdded(added);
  }

  /** Skips an older one: it was pruned, and added now would count as the newest. */
  #addCheckpoint(entry: CheckpointEntry, current: CurrentSession): string | null {
    const { body, hash, rawBytes } = encode(entry.state);
    if (hash !== entry.hash) return `checkpoint ${entry.id} was changed: its state does not match its hash`;
    if (current.newestAt !== null && entry.at < current.newestAt) return this.#countAdded(0);
    const { session_id, id, at, trigger, redactions, summary } = entry;
    const foldedTo = current.journal.findLast(([there]) => there <= entry.journal_seq)?.[1] ?? 0;
    const row = {
      session_id,
      id,
      at,
      trigger,
      hash,
      journal_seq: foldedTo,
      raw_bytes: rawBytes,
      redactions,
      summary,
      body,
    };
    return this.#countAdded(insert(this.#sql, "checkpoints", row));
  }

  #addRecovery(entry: RecoveryEntry): string | null {
    const { session_id, at, action, by_session, score } = entry;
    const earlier = this.#sql.all(
      "SELECT 1 FROM recoveries WHERE session_id = ? AND at = ? AND action = ?",
      session_id,
      at,
      action,
    );
    if (earlier.length > 0) return this.#countAdded(0);
    const row = { session_id, at, action, by_session, score, detail: JSON.stringify(entry.detail) };
    return this.#countAdded(insert(this.#sql, "recoveries", row));
  }

  #countAdded(rows: number): null {
    if (rows > 0) this.added++;
    else this.skipped++;
    return null;
  }
}

function insert(sql: Sql, table: string, row: Record<string, SqlValue>): number {
  const columns = Object.keys(row);
  return sql.run(
    `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")}) ON CONFLICT DO NOTHING`,
    ...Object.values(row),
  );
}

function parse(text: string): { ok: true; value: unknown } | { ok: false; reason: string } {
  if (text.length > maxLineChars) return { ok: false, reason: `the line is longer than ${maxLineChars} characters` };
  try {
    const value: unknown = JSON.parse(text);
    // Rejects values nested too deeply to be stringified again.
    JSON.stringify(value);
    return { ok: true, value };
  } catch (error) {
    return { ok: false, reason: `not one JSON value: ${messageOf(error)}` };
  }
}

function pick(from: unknown, names: readonly string[]): Record<string, unknown> {
  if (typeof from !== "object" || from === null) return {};
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)));
}

function reasonOf(error: {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
}): string {
  const issues = error.issues
    .slice(0, 3)
    .map(({ path, message }) => `${path.map(String).join(".") || "record"}: ${message}`);
  return issues.join("; ");
}
