import type { Sql } from "../shared/sql.ts";
import { decode } from "./checkpoint-body.ts";
import { checkpoints, crashes, journal, recoveries, signals } from "./session-tables.ts";
import { exported, exportFormat, exportVersion } from "./transfer-format.ts";

export interface ExportFilter {
  readonly session?: string;
  readonly project?: string;
  readonly since?: number;
}

/**
 * [ST70] Reads in portions: consume it within one read. Contains no git snapshots.
 * @throws {Error} when a checkpoint's body does not match its hash
 */
export function* exportLines(sql: Sql, now: number, filter: ExportFilter = {}): Generator<string> {
  yield JSON.stringify({ type: "header", format: exportFormat, version: exportVersion, exportedAt: now });
  const { session = null, project = null, since = 0 } = filter;
  const rest = `WHERE id > ? AND (? IS NULL OR id = ?) AND (? IS NULL OR project = ?) AND lastSeenAt >= ?
    ORDER BY id LIMIT 100`;
  const page = (last: string | number): { readonly id: string }[] =>
    exported.session.select(sql, rest, last, session, session, project, project, since);
  for (const row of readPaged(page, "id", "")) {
    yield toLine("session", row);
    yield* sessionLines(sql, row.id);
  }
}

function* sessionLines(sql: Sql, session: string): Generator<string> {
  const bySeq = "WHERE session = ? AND seq > ? ORDER BY seq LIMIT 100";
  const byTime = "WHERE session = ? AND at > ? ORDER BY at LIMIT 100";
  for (const { kind, body, ...row } of readPaged((last) => journal.select(sql, bySeq, session, last), "seq", -1))
    yield toLine("journal", { ...row, body: { kind, ...body } });
  for (const row of readPaged((last) => checkpoints.select(sql, bySeq, session, last), "seq", -1)) {
    const { seq: _seq, rawBytes: _bytes, body, ...kept } = row;
    yield toLine("checkpoint", { ...kept, state: decode(body, row.hash) });
  }
  for (const row of readPaged((last) => signals.select(sql, byTime, session, last), "at", -1))
    yield toLine("signal", row);
  for (const row of readPaged((last) => crashes.select(sql, byTime, session, last), "at", -1))
    yield toLine("crash", row);
  for (const { seq: _, ...row } of readPaged((last) => recoveries.select(sql, bySeq, session, last), "seq", -1))
    yield toLine("recovery", row);
}

/** @param read gives the rows after this value of the key, in its order */
function* readPaged<Key extends string, Row extends Readonly<Record<Key, string | number>>>(
  read: (last: string | number) => readonly Row[],
  key: Key,
  first: string | number,
): Generator<Row> {
  for (let last: string | number | undefined = first; last !== undefined;) {
    const rows: readonly Row[] = read(last);
    yield* rows;
    last = rows.at(-1)?.[key];
  }
}

function toLine(type: string, row: object): string {
  return JSON.stringify({ type, ...row });
}
