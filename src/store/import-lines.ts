import { setImmediate as nextTurn } from "node:timers/promises";
import { messageOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Sql } from "../shared/sql.ts";
import { encode } from "./checkpoint-body.ts";
import { raiseJournalSequence } from "./journal-sequence.ts";
import { checkpoints, crashes, journal, recoveries, sessions, signals } from "./session-tables.ts";
import type { Store } from "./store.ts";
import {
  type Entry,
  exportFormat,
  Header,
  maxLineChars,
  exportVersion,
  parseEntry,
  type CheckpointLine,
  type JournalLine,
} from "./transfer-format.ts";

export interface ImportResult {
  readonly added: number;
  readonly skipped: number;
  /** One refusal means that nothing is added. At most {@link maxRefusals}. */
  readonly refused: readonly { readonly line: number; readonly reason: string }[];
}

const maxRefusals = 20;

/** Characters of lines that are read, or added in one transaction, between two turns of others. */
const stepChars = 65_536;

/**
 * [ST71] Adds what the store lacks, in steps; a repeat adds nothing, or what an interrupted import
 * has left. [ST72] All lines are checked before the first is added.
 *
 * @param lines called twice
 */
export async function importLines(store: Store, lines: () => Iterable<string>): Promise<ImportResult> {
  let run = new ImportRun(null);
  for (const step of stepsOf(lines())) {
    for (const line of step) run.addLine(line);
    if (run.refused.length >= maxRefusals) break;
    await nextTurn();
  }
  if (run.count === 0) run.refuse("the file is empty");
  if (run.refused.length > 0) return { added: 0, skipped: 0, refused: run.refused.slice(0, maxRefusals) };
  run = new ImportRun(null);
  for (const step of stepsOf(lines())) {
    const before = run;
    run = store.write((sql) => {
      // The write may run again.
      const attempt = new ImportRun(sql, before);
      for (const line of step) attempt.addLine(line);
      raiseJournalSequence(sql);
      return attempt;
    });
    await nextTurn();
  }
  const { added, skipped, refused } = run;
  return { added, skipped, refused };
}

function* stepsOf(lines: Iterable<string>): Generator<string[]> {
  let step: string[] = [];
  let chars = 0;
  for (const line of lines) {
    step.push(line);
    chars += line.length;
    if (chars < stepChars) continue;
    yield step;
    [step, chars] = [[], 0];
  }
  if (step.length > 0) yield step;
}

interface CurrentSession {
  readonly id: string;
  /** Time of the newest checkpoint before the import; null when there was none. */
  readonly newestAt: number | null;
  readonly journal: (readonly [number, number])[];
}

class ImportRun {
  /** Lines so far. */
  count = 0;
  added = 0;
  skipped = 0;
  readonly refused: { line: number; reason: string }[] = [];
  readonly #sql: Sql | null;
  readonly #seen = new Set<string>();
  #current: CurrentSession | null = null;

  /** @param sql null: the lines are only checked */
  constructor(sql: Sql | null, before?: ImportRun) {
    this.#sql = sql;
    if (!before) return;
    const { count, added, skipped } = before;
    Object.assign(this, { count, added, skipped });
    const current = before.#current;
    this.#current = current && { ...current, journal: [...current.journal] };
  }

  refuse(reason: string): void {
    this.refused.push({ line: Math.max(1, this.count), reason });
  }

  addLine(text: string): void {
    const number = (this.count += 1);
    if (number > 1 && text.trim() === "") return;
    const parsed = parse(text);
    if (!parsed.ok) return this.refuse(parsed.error);
    if (number === 1) return this.#checkHeader(parsed.value);
    const entry = parseEntry(parsed.value);
    if (!entry.ok) return this.refuse(entry.error);
    const done = this.#add(entry.value);
    if (typeof done === "string") this.refuse(done);
    else if (done > 0) this.added++;
    else this.skipped++;
  }

  #checkHeader(value: unknown): void {
    const expected = `the first line must say format "${exportFormat}", version ${exportVersion}`;
    if (!Header.safeParse(value).success) this.refuse(`not an export that this shim reads: ${expected}`);
  }

  /** Returns the number of rows added, or why the line is refused. */
  #add(entry: Entry): number | string {
    if (entry.type === "session") return this.#addSession(entry);
    const current = this.#current;
    if (!current || current.id !== entry.session) {
      return `a ${entry.type} of session ${entry.session} must follow the line of that session`;
    }
    if (entry.type === "journal") return this.#addJournal(entry, current);
    if (entry.type === "checkpoint") return this.#addCheckpoint(entry, current);
    if (entry.type === "recovery") return this.#addRecovery(entry);
    return this.#write((sql) =>
      entry.type === "signal" ? signals.insert(sql, entry, skipKnown) : crashes.insert(sql, entry, skipKnown),
    );
  }

  #addSession(entry: Extract<Entry, { type: "session" }>): number | string {
    if (this.#seen.has(entry.id)) return `session ${entry.id} appears twice`;
    this.#seen.add(entry.id);
    const newest = this.#sql && times.select(this.#sql, "WHERE session = ? ORDER BY seq DESC LIMIT 1", entry.id)[0]?.at;
    this.#current = { id: entry.id, newestAt: newest ?? null, journal: [] };
    return this.#write((sql) => sessions.insert(sql, entry, skipKnown));
  }

  #addJournal(entry: JournalLine, current: CurrentSession): number | string {
    if (entry.seq <= (current.journal.at(-1)?.[0] ?? -1)) return "the journal is out of order";
    const { session, at, key } = entry;
    const { kind, ...body } = entry.body;
    const added = this.#write((sql) => journal.insert(sql, { session, at, kind, key, body }, skipKnown));
    const stored = this.#sql && journal.find(this.#sql, { session, key });
    current.journal.push([entry.seq, stored?.seq ?? 0]);
    return added;
  }

  /** Skips an older one: it was pruned, and added now would count as the newest. */
  #addCheckpoint({ state, ...row }: CheckpointLine, current: CurrentSession): number | string {
    const { body, hash, rawBytes } = encode(state);
    if (hash !== row.hash) return `checkpoint ${row.id} was changed: its state does not match its hash`;
    if (current.newestAt !== null && row.at < current.newestAt) return 0;
    const journalSeq = current.journal.findLast(([there]) => there <= row.journalSeq)?.[1] ?? 0;
    return this.#write((sql) => checkpoints.insert(sql, { ...row, journalSeq, rawBytes, body }, skipKnown));
  }

  #addRecovery(entry: Extract<Entry, { type: "recovery" }>): number {
    const { session, at, action } = entry;
    return this.#write((sql) => (recoveries.has(sql, { session, at, action }) ? 0 : recoveries.insert(sql, entry)));
  }

  /** Writes nothing while lines are only checked. */
  #write(write: (sql: Sql) => number): number {
    return this.#sql === null ? 0 : write(this.#sql);
  }
}

const skipKnown = "ON CONFLICT DO NOTHING";
const times = checkpoints.pick("at");

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
