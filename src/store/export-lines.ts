import type { Sql } from "../shared/sql.ts";
import { decode } from "./checkpoint-body.ts";
import { exportFormat, exportVersion } from "./transfer-format.ts";

export interface ExportFilter {
  readonly session?: string;
  readonly project?: string;
  readonly since?: number;
}

type ExportRow = Record<string, unknown>;

/** Columns that are valid on other machines, so none of its processes. */
const sessionColumns = `id, client, client_version, project, cwd, title, name, model, transcript_path, transcript_offset, origin, parent_id, started_at,
  last_seen_at, saved_at, ended_at, end_reason, detached_at, detach_reason, recovery, recovery_at, recovery_by, tool_calls,
  tool_errors, readings`;

/**
 * [ST70] Reads in portions: consume it within one read. Contains no git snapshots.
 * @throws {Error} when a checkpoint's body does not match its hash
 */
export function* exportLines(sql: Sql, now: number, filter: ExportFilter = {}): Generator<string> {
  yield JSON.stringify({ type: "header", format: exportFormat, version: exportVersion, exportedAt: now });
  for (const session of readPaged(
    sql,
    `SELECT ${sessionColumns} FROM sessions WHERE id > ? ORDER BY id LIMIT 100`,
    "id",
    "",
  )) {
    if (!matchesFilter(session, filter)) continue;
    yield toLine("session", { ...session, readings: parseObject(session["readings"]) });
    yield* sessionLines(sql, String(session["id"]));
  }
}

function matchesFilter(session: ExportRow, filter: ExportFilter): boolean {
  if (filter.session !== undefined && session["id"] !== filter.session) return false;
  if (filter.project !== undefined && session["project"] !== filter.project) return false;
  return filter.since === undefined || Number(session["last_seen_at"]) >= filter.since;
}

function* sessionLines(sql: Sql, session: string): Generator<string> {
  const linesOf = (columns: string, table: string, key: string): Generator<ExportRow> =>
    readPaged(
      sql,
      `SELECT ${columns} FROM ${table} WHERE session_id = ? AND ${key} > ? ORDER BY ${key} LIMIT 100`,
      key,
      -1,
      session,
    );
  for (const row of linesOf("session_id, seq, at, kind, key, body", "journal", "seq")) {
    const { kind, body, ...kept } = row;
    yield toLine("journal", { ...kept, body: { kind, ...parseObject(body) } });
  }
  const columns = "session_id, seq, id, at, trigger, hash, journal_seq, redactions, summary, body";
  for (const row of linesOf(columns, "checkpoints", "seq")) yield checkpointLine(row);
  for (const row of linesOf("session_id, at, risk, level, readings", "signals", "at")) {
    yield toLine("signal", { ...row, readings: parseObject(row["readings"]) });
  }
  for (const row of linesOf("session_id, at, cause, detail, readings", "crashes", "at")) {
    yield toLine("crash", { ...row, readings: parseObject(row["readings"]) });
  }
  for (const row of linesOf("session_id, seq, at, action, by_session, score, detail", "recoveries", "seq")) {
    const { seq: _, ...kept } = row;
    yield toLine("recovery", { ...kept, detail: parseObject(row["detail"]) });
  }
}

function checkpointLine(row: ExportRow): string {
  const { seq: _, body, ...kept } = row;
  if (!(body instanceof Uint8Array)) throw new Error(`checkpoint ${String(row["id"])} has no body`);
  return toLine("checkpoint", { ...kept, state: decode(body, String(row["hash"])) });
}

function* readPaged(
  sql: Sql,
  query: string,
  key: string,
  first: string | number,
  ...owner: string[]
): Generator<ExportRow> {
  let last = first;
  for (;;) {
    const rows = sql.all<ExportRow>(query, ...owner, last);
    yield* rows;
    const end = rows.at(-1)?.[key];
    if (typeof end !== "string" && typeof end !== "number") return;
    last = end;
  }
}

function toLine(type: string, row: ExportRow): string {
  return JSON.stringify({ type, ...row });
}

function parseObject(json: unknown): object {
  return JSON.parse(String(json)) as object;
}
