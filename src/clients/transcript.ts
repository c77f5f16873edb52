import { dirname } from "node:path";
import {
  type Damage,
  type LineFormat,
  type TranscriptContent,
  emptyDraft,
  type LineOrigin,
  finished,
  type TranscriptBase,
  type TranscriptDraft,
} from "./transcript/transcript-draft.ts";
import { budgetMs, interpret } from "../platform/time-budget.ts";
import { codeOf } from "../shared/error.ts";
import { numberAt, textAt, type JsonObject } from "../shared/json-fields.ts";
import { asTime, toMilliseconds } from "../shared/known-time.ts";
import { pathsBelow, type SessionFiles } from "./adapter/session-files.ts";
import { readClaudeLine } from "./claude-code/claude-lines.ts";
import { CallsOfResults } from "./transcript/call-ids.ts";
import { RowChain, unlinked, type RowPosition } from "./transcript/row-chain.ts";
import { openTranscript, readBytes, type TranscriptFile } from "./transcript/transcript-file.ts";
import { rowsIn, type ContentRow } from "./transcript/transcript-rows.ts";

export interface TranscriptPart extends TranscriptContent {
  /** Start of the next read, in bytes. */
  readonly offset: number;
  readonly size: number;
  /** Bytes passed over as too many, with the rest of the line in which they end. */
  readonly skippedBytes: number;
  /** The part was skipped: it took too long. */
  readonly isOverBudget: boolean;
  /** Error code (`ENOENT`, `EACCES`, `not_a_file` ...); null: readable. */
  readonly unreadable: string | null;
  /** Content of the files that this one continues; null: none, or they cannot be read. */
  readonly before: TranscriptContent | null;
}

export interface ReadLimits {
  /** Nothing before this offset is read, in bytes. */
  readonly minOffset?: number;
  /** Skips lines by their time in epoch ms (else the previous line's) and folder. */
  readonly isExcluded?: (at: number, cwd: string | null) => boolean;
  /** Whether what the part takes back of what stands before it is left out. */
  readonly isAlone?: boolean;
  /** Skips rows of another window of the session. Absent: there is none. */
  readonly isForeign?: TranscriptDraft["isForeign"];
  /** Limit of one call, plus one byte to see where a line starts. */
  readonly maxBytes?: number;
  /** Limit of one call that leaves the rest to the next one, unless it is within one line. */
  readonly stepBytes?: number;
  /** Default: Claude Code's. */
  readonly format?: LineFormat | undefined;
  /** @throws a system error, or one with `code` "not_a_file" */
  readonly open?: (path: string) => TranscriptFile;
}

const newline = 0x0a;
/** About 5 ms of reading and parsing; a turn between two hooks is seldom over a tenth of it. */
const megabyte = 1_048_576;
/** More than a chat writes while no host runs. */
const defaultMaxBytes = 32 * megabyte;

/** Beside other chats: with what it leads to in the store, some ms. */
export const stepBytes = 65_536;

/** @param offset the last call's `offset`; 0 for a new file */
export function readAppended(path: string, offset: number, limits: ReadLimits = {}): TranscriptPart {
  const { open = openTranscript } = limits;
  let file: TranscriptFile | null = null;
  try {
    file = open(path);
    const part = readPart(file, offset, limits);
    return {
      ...part,
      withdrawn: withdrawnUntil(file, offset, limits, part),
      before: contentBefore(path, part, limits),
    };
  } catch (error) {
    const unreadable = codeOf(error);
    if (unreadable === null) throw error;
    return { ...readRows([]), offset, size: 0, skippedBytes: 0, isOverBudget: false, unreadable, before: null };
  } finally {
    file?.close();
  }
}

function contentBefore(
  path: string,
  { base, forkedFrom }: TranscriptPart,
  limits: ReadLimits,
): TranscriptContent | null {
  if (base === null) return null;
  try {
    const rows = rowsBefore(path, base, limits.format, forkedFrom === null ? megabyte : defaultMaxBytes);
    return rows && readRows(rows, limits.isExcluded, limits.format);
  } catch (error) {
    if (codeOf(error) === null) throw error;
    return null;
  }
}

/** Files that continue each other; more are a circle. */
const maxFiles = 100;

/**
 * Rows of the files that a file continues, oldest first; null: one of them cannot be read.
 *
 * @param most bytes of each file, from its end: of what is before a longer one nothing is read
 */
function rowsBefore(
  path: string,
  { files, bytes }: TranscriptBase,
  format: LineFormat | undefined,
  most: number,
  left = maxFiles,
): ContentRow[] | null {
  if (bytes === 0) return [];
  const [file] = left === 0 ? [] : pathsBelow(dirname(path), [files], "");
  if (file === undefined) return null;
  const written = readBytes(file, bytes).bytes;
  const start = Math.max(0, written.length - most);
  const rows = [...rowsIn(written.subarray(start), start)];
  const { base } = readRows(rows.slice(0, 1), undefined, format);
  const before = base ? rowsBefore(file, base, format, most, left - 1) : [];
  return before && [...before, ...rows];
}

/** In bytes: most turns begin within the first, and nearly all sessions within the last. */
const widerParts = [65_536, megabyte, 32 * megabyte];

/** A part may take back what stands before it. */
function withdrawnUntil(
  file: TranscriptFile,
  offset: number,
  limits: ReadLimits,
  part: TranscriptPart,
): TranscriptContent["withdrawn"] {
  const { unplaced, offset: end } = part;
  let known: TranscriptContent = part;
  let from = limits.isAlone ? 0 : offset;
  for (const bytes of widerParts) {
    if (from === 0 || !known.unplaced.some((row) => unplaced.includes(row))) break;
    from = Math.max(0, offset - bytes);
    known = readPart(file, from, { ...limits, maxBytes: Infinity, stepBytes: end - from });
  }
  return known.withdrawn;
}

function readPart(file: TranscriptFile, offset: number, limits: ReadLimits): TranscriptPart {
  const { maxBytes = defaultMaxBytes, stepBytes: step = Infinity, minOffset = 0, isExcluded, format } = limits;
  const size = file.size();
  // A file that is shorter than its offset, or its mark, is another file.
  const from = Math.max(size < offset ? 0 : offset, size < minOffset ? 0 : minOffset);
  const start = Math.max(from, size - maxBytes);
  // One byte before the start: only a newline there shows that a line begins at the start.
  const base = Math.max(0, start - 1);
  const bytes = Buffer.alloc(Math.min(size, start + step) - base);
  const part = bytes.subarray(0, file.read(bytes, base));
  const begin = start === 0 ? 0 : part.indexOf(newline) + 1;
  // Without a newline all of it lies inside one long line: its rest is dropped next time.
  const isInsideLine = start > 0 && begin === 0;
  const end = isInsideLine ? part.length : Math.max(begin, part.lastIndexOf(newline) + 1);
  // An import reads all of a file at once.
  const megabytes = Math.max(1, part.length / megabyte);
  const read = (): TranscriptContent => {
    const rows = isInsideLine ? [] : rowsIn(part.subarray(begin, end), base + begin);
    return limits.isForeign ? readBehind(file, base + begin, [...rows], limits) : readRows(rows, isExcluded, format);
  };
  const content = interpret(read, { ms: megabytes * budgetMs, chars: part.length });
  return {
    ...(content ?? readRows([])),
    isOverBudget: content === null,
    offset: Math.max(from, base + end),
    size,
    skippedBytes: start > from ? base + (isInsideLine ? end : begin) - from : 0,
    unreadable: null,
    before: null,
  };
}

/** The prompt that a row follows may stand before the part. */
function readBehind(file: TranscriptFile, start: number, rows: readonly ContentRow[], limits: ReadLimits) {
  const readFrom = (from: number): ContentReader => {
    const reader = new ContentReader(limits.format, limits.isExcluded, undefined, limits.isForeign);
    const bytes = Buffer.alloc(start - from);
    reader.pass(rowsIn(bytes.subarray(0, file.read(bytes, from)), from));
    reader.add(rows);
    return reader;
  };
  const starts = widerParts.map((bytes) => Math.max(0, start - bytes));
  const from = starts.find((one) => one === 0 || readFrom(one).isPlaced) ?? 0;
  return readFrom(from).content();
}

type IsExcluded = (at: number, cwd: string | null) => boolean;

export function readRows(rows: Iterable<ContentRow>, isExcluded?: IsExcluded, format?: LineFormat): TranscriptContent {
  const reader = new ContentReader(format, isExcluded);
  reader.add(rows);
  return reader.content();
}

/** Makes the content of rows that come in parts. */
export class ContentReader {
  readonly #draft: TranscriptDraft;
  readonly #chain: RowChain;
  readonly #callsOfResults = new CallsOfResults<RowPosition>();
  readonly #format: LineFormat;
  readonly #isExcluded: IsExcluded;
  /** Absent: the calls of results may stand elsewhere. */
  #files: Pick<SessionFiles, "callsIn" | "isPart"> | undefined;
  #newest: number | null = null;
  #end = 0;

  constructor(
    format: LineFormat = readClaudeLine,
    isExcluded: IsExcluded = () => false,
    files?: SessionFiles,
    isForeign?: TranscriptDraft["isForeign"],
  ) {
    this.#draft = emptyDraft(isForeign);
    this.#format = format;
    this.#isExcluded = isExcluded;
    this.#chain = new RowChain(files?.links ?? unlinked);
    this.#files = files;
  }

  /** Time of the newest row, in epoch ms; null: none has a time. */
  get newest(): number | null {
    return this.#newest;
  }

  /** Position behind the last row. */
  get end(): number {
    return this.#end;
  }

  /** First words of a user; null: none yet. */
  get firstPrompt(): string | null {
    return this.#draft.texts.find(({ role }) => role === "user")?.text ?? null;
  }

  get isPlaced(): boolean {
    return this.#draft.isPlaced;
  }

  /** Reads rows to know what the next ones follow, and keeps nothing else of them. */
  pass(rows: Iterable<ContentRow>): void {
    this.add(rows);
    const { branch, isForeign } = this.#draft;
    Object.assign(this.#draft, emptyDraft(isForeign), { branch });
  }

  add(rows: Iterable<ContentRow>): void {
    for (const one of rows) this.#addRow(one);
  }

  #addRow({ row, damage, position, bytes }: ContentRow): void {
    const draft = this.#draft;
    this.#end = position + bytes;
    draft.isEndDamaged = damage !== null;
    if (damage !== null) draft.damages.push({ kind: damage, at: this.#newest, position, bytes });
    if (row === null) return this.#chain.breakOff();
    const origin = originOf(row, position);
    this.#newest = origin.at ?? this.#newest;
    if (this.#newest !== null && this.#isExcluded(this.#newest, textAt(row, "cwd", 4_096))) return;
    // A restored backup may repeat rows.
    if (this.#chain.has(textAt(row, "uuid"))) return;
    const found = { index: 0, position, newest: this.#newest };
    this.#chain.add(row, found, null);
    if (this.#files?.isPart?.(row)) this.#files = undefined;
    const ids = this.#files?.callsIn?.(row);
    if (ids) this.#callsOfResults.add(ids, found);
    this.#format(draft, row, origin);
  }

  /** @param isWhole all rows of the file were added, so each parent must be among them */
  content(isWhole = false): TranscriptContent {
    if (isWhole) this.#addMissing();
    return finished(this.#draft);
  }

  #addMissing(): void {
    const { damages } = this.#draft;
    damages.push(...this.#chain.unlinked.map(missingBefore));
    // A call may have stood in what is known to be damaged or missing.
    if (damages.length === 0) damages.push(...this.#callsOfResults.missing.map(missingBefore));
  }
}

function missingBefore({ newest: at, position }: RowPosition): Damage {
  return { kind: "unlinked", at, position, bytes: 0 };
}

function originOf(row: JsonObject, position: number): LineOrigin {
  return { at: timeOf(row), uuid: textAt(row, "uuid", 100) ?? `@${position}` };
}

/** Time of a row in epoch ms; some tools write a number, in ms or in seconds. Null: it has none. */
export function timeOf(row: JsonObject): number | null {
  const written = numberAt(row, "timestamp");
  const at = written === null ? Date.parse(textAt(row, "timestamp", 40) ?? "") : toMilliseconds(written);
  return asTime(at);
}
