import { parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { readClaudeLine } from "./claude-lines.ts";
import { emptyDraft, type LineFormat, type LineOrigin, type TranscriptContent } from "./transcript-draft.ts";

export interface TranscriptLine {
  readonly text: string;
  readonly position: number;
}

export interface TranscriptRow {
  readonly row: JsonObject | null;
  readonly position: number;
}

type IsExcluded = (at: number, cwd: string | null) => boolean;

export function readLines(
  lines: Iterable<TranscriptLine>,
  isExcluded?: IsExcluded,
  format?: LineFormat,
): TranscriptContent {
  return readRows(rowsOf(lines), isExcluded, format);
}

function* rowsOf(lines: Iterable<TranscriptLine>): Generator<TranscriptRow> {
  for (const { text, position } of lines) if (text.trim() !== "") yield { row: parseObject(text), position };
}

export function readRows(
  rows: Iterable<TranscriptRow>,
  isExcluded: IsExcluded = () => false,
  format: LineFormat = readClaudeLine,
): TranscriptContent {
  const draft = emptyDraft();
  let newest: number | null = null;
  for (const { row, position } of rows) {
    if (!row) {
      draft.invalidLines += 1;
      continue;
    }
    const origin = originOf(row, position);
    newest = origin.at ?? newest;
    if (newest !== null && isExcluded(newest, textAt(row, "cwd", 4_096))) continue;
    format(draft, row, origin);
  }
  const {
    calls: _calls,
    ended: _ended,
    proposedPlan: _plan,
    queue: _queue,
    dequeued: _dequeued,
    promptAfter: _promptAfter,
    codex: _codex,
    ...content
  } = draft;
  return { ...content, usage: [...draft.usage.values()], subagentUsage: [...draft.subagentUsage.values()] };
}

function originOf(line: JsonObject, position: number): LineOrigin {
  const at = Date.parse(textAt(line, "timestamp", 40) ?? "");
  return { at: Number.isNaN(at) ? null : at, uuid: textAt(line, "uuid", 100) ?? `@${position}` };
}
