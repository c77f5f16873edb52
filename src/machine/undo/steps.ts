import { mayChangeAnyFile, mayChangeFiles } from "../../clients/adapter/tools.ts";
import type { Trigger } from "../../contract/checkpoint.ts";
import type { FileStamp } from "../../contract/work-state.ts";
import { asObject, listAt } from "../../shared/json-fields.ts";
import type { Sql } from "../../shared/sql.ts";
import type { ExcludedFile } from "../../snapshots/selection.ts";
import type { UndoInput } from "../../snapshots/undo-files.ts";
import { presentEnd, type UndoneFile, type UndoStep } from "../../snapshots/undo-history.ts";
import { listMoments, type Moment } from "../checkpoints/moments.ts";
import * as journal from "../sessions/journal.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Session } from "../sessions/sessions.ts";
import { shortSessionId } from "../sessions/session-identity.ts";
import { isEdited } from "../sessions/work-state.ts";

interface CheckpointRow {
  readonly at: number;
  readonly trigger: Trigger;
  readonly journalSeq: number;
  readonly state: string | null;
  readonly reason: string | null;
  readonly commit: string | null;
  readonly detail: string | null;
}

type Row = journal.JournalRow;

/** A turn in the making. */
interface Turn {
  /** Row of the journal with which it began. */
  readonly began: number;
  /** Row of its end, or of the next prompt; null: it is not over. */
  readonly over: number | null;
  /** First files; null: those that an undo in it has left. */
  readonly start: CheckpointRow | null;
  /** Last files that were saved in it. */
  newest: CheckpointRow | null;
  end: CheckpointRow | null;
}

/** Turns and undos of a chat since a row of its journal, for {@link UndoInput}. */
export function readSteps(
  sql: Sql,
  session: Pick<Session, "id" | "project">,
  since: number,
  isAlive: boolean,
): Pick<UndoInput, "stamps" | "others"> & { readonly steps: readonly UndoStep[] } {
  const rows = journal.list(sql, session.id, since - 1, Number.MAX_SAFE_INTEGER);
  const steps = new Steps(sql, session, rows, isAlive);
  for (const row of checkpointsSince(sql, session.id, since)) steps.add(row);
  return { steps: steps.close(), stamps: stampsOf(rows), others: editsOfOthers(sql, session.id, rows[0]?.at ?? 0) };
}

function checkpointsSince(sql: Sql, sessionId: string, since: number): CheckpointRow[] {
  return sql.all<CheckpointRow>(
    `SELECT c.at, c.trigger, c.journalSeq, s.state, s.reason, s."commit", s.detail
     FROM checkpoints c LEFT JOIN snapshots s ON s.checkpointId = c.id
     WHERE c.session = ? AND c.journalSeq >= ? ORDER BY c.seq`,
    sessionId,
    since,
  );
}

const turnEnds: ReadonlySet<string> = new Set(["prompt", "turn_end", "failure", "interrupted"]);
const lastTriggers: ReadonlySet<Trigger> = new Set(["session_end", "detached"]);
/** An end whose files were not saved because the next turn began so soon has that turn's. */
const soonMs = 2_000;

class Steps {
  readonly #sql: Sql;
  readonly #session: Pick<Session, "id" | "project">;
  readonly #rows: readonly Row[];
  readonly #bounds: readonly number[];
  readonly #isAlive: boolean;
  readonly #steps: UndoStep[] = [];
  #turn: Turn | null = null;
  /** Row with which the newest turn began that has a step. */
  #passed = 0;

  constructor(sql: Sql, session: Pick<Session, "id" | "project">, rows: readonly Row[], isAlive: boolean) {
    this.#sql = sql;
    this.#session = session;
    this.#rows = rows;
    this.#isAlive = isAlive;
    this.#bounds = rows.filter(({ entry }) => turnEnds.has(entry.kind)).map(({ seq }) => seq);
  }

  add(row: CheckpointRow): void {
    const turn = this.#turn;
    if (row.trigger === "undo") return this.#addUndo(row);
    const began = this.#bounds.findLast((seq) => seq <= row.journalSeq) ?? 0;
    const isStart = row.trigger === "turn" || row.trigger === "before_tool";
    if (isStart && (turn === null || began > turn.began)) {
      this.#endTurn(row);
      this.#passUnsaved(began);
      this.#turn = { began, over: this.#overAfter(row.journalSeq), start: row, newest: null, end: null };
      return;
    }
    if (turn === null || (turn.end !== null && !isReplaced(turn.end, row))) return;
    const isEnd = lastTriggers.has(row.trigger) || (turn.over !== null && row.journalSeq >= turn.over);
    if (isEnd) turn.end = row;
    else if (row.state === "done") turn.newest = row;
  }

  close(): readonly UndoStep[] {
    this.#endTurn(null);
    this.#passUnsaved(Infinity);
    return this.#steps;
  }

  /** Earlier turns whose checkpoints were not made, or are deleted. */
  #passUnsaved(began: number): void {
    for (const [at, bound] of this.#bounds.entries()) {
      if (bound <= this.#passed || bound >= began) continue;
      const until = this.#bounds[at + 1] ?? Infinity;
      const calls = this.#rows.filter(({ seq }) => seq > bound && seq <= until);
      const isChanging = calls.some(({ entry }) => entry.kind === "tool_start" && mayChangeFiles(entry.name));
      if (!isChanging) continue;
      const edited = calls.flatMap(({ entry }) => (isEdit(entry) ? [entry.path] : []));
      const none = {
        start: null,
        end: null,
        isWhole: false,
        interruptedAt: null,
        isOnlyEdited: false,
        sharedWith: null,
        leftOut: [],
      };
      this.#steps.push({
        ...none,
        unsaved: "the files before that turn were not saved, or are stored no more",
        edited,
      });
    }
    this.#passed = began;
  }

  #overAfter(seq: number): number | null {
    return this.#bounds.find((bound) => bound > seq) ?? null;
  }

  #addUndo(row: CheckpointRow): void {
    const turn = this.#turn;
    const detail = asObject(parsed(row.detail));
    const undone = listAt(detail, "undone") as readonly UndoneFile[];
    if (row.state !== "done" || row.commit === null || undone.length === 0) return;
    const isInTurn = turn !== null && turn.end === null && (turn.over === null || turn.over > row.journalSeq);
    if (turn !== null && isInTurn) turn.end = row;
    this.#endTurn(row);
    this.#steps.push({ start: row.commit, undone, isUnfinished: detail?.["open"] === "killed" });
    if (turn !== null && isInTurn) this.#turn = { ...turn, start: null, newest: null, end: null };
  }

  /** @param next start of the next step; null: there is none */
  #endTurn(next: CheckpointRow | null): void {
    const turn = this.#turn;
    this.#turn = null;
    if (turn === null) return;
    const own = this.#rows.filter(({ seq }) => seq > turn.began && (turn.over === null || seq <= turn.over));
    const ended = this.#endOf(turn, next);
    const until = turn.end?.at ?? next?.at ?? Number.MAX_SAFE_INTEGER;
    const isOnlyEdited = !own.some(({ entry }) => entry.kind === "tool_start" && mayChangeAnyFile(entry.name));
    this.#steps.push({
      start: turn.start?.commit ?? null,
      unsaved: turn.start !== null && turn.start.commit === null ? unsavedText(turn.start) : null,
      ...ended,
      edited: own.flatMap(({ entry }) => (isEdit(entry) ? [entry.path] : [])),
      isOnlyEdited,
      sharedWith: isOnlyEdited ? null : commandsOfOthers(this.#sql, this.#session, own[0]?.at ?? until, until),
      leftOut: [turn.start, turn.end].flatMap((one) => leftOutOf(one)),
    });
  }

  #endOf(
    turn: Turn,
    next: CheckpointRow | null,
  ): Pick<Extract<UndoStep, { readonly edited: unknown }>, "end" | "isWhole" | "interruptedAt"> {
    const saved = turn.end;
    if (saved?.state === "done") return { end: saved.commit, isWhole: true, interruptedAt: null };
    const interruptedAt = this.#interruptionOf(turn);
    const isOpen = saved === null ? turn.over === null && this.#isAlive : unfinished.has(saved.state);
    if (next === null && (isOpen || interruptedAt !== null)) return { end: presentEnd, isWhole: true, interruptedAt };
    if (next?.state === "done" && (interruptedAt !== null || (saved !== null && next.at - saved.at <= soonMs)))
      return { end: next.commit, isWhole: true, interruptedAt: null };
    return { end: turn.newest?.commit ?? null, isWhole: false, interruptedAt: null };
  }

  /** No event tells of it: the transcript does, or the next prompt follows without an end. */
  #interruptionOf({ over, end }: Turn): number | null {
    const row = end === null ? this.#rows.find(({ seq }) => seq === over) : undefined;
    return row?.entry.kind === "interrupted" || row?.entry.kind === "prompt" ? row.at : null;
  }
}

/** Whether its files were not saved because this checkpoint came so soon. */
function isReplaced(end: CheckpointRow, row: CheckpointRow): boolean {
  return end.state === "skipped" && row.at - end.at <= soonMs;
}

/** States of a snapshot that is being taken. */
const unfinished: ReadonlySet<string | null> = new Set(["pending", "running"]);

function unsavedText({ state, reason }: CheckpointRow): string {
  const why = reason ?? (state === null ? "snapshots are switched off" : state);
  return `the files before that turn were not saved: ${why}`;
}

function parsed(text: string | null): unknown {
  return text === null ? null : JSON.parse(text);
}

function leftOutOf(row: CheckpointRow | null): ExcludedFile[] {
  const all = listAt(asObject(parsed(row?.detail ?? null)), "leftOut") as readonly ExcludedFile[];
  return all.filter(({ path }) => path !== "...");
}

type Edit = Extract<Row["entry"], { readonly kind: "tool_end" }> & { readonly path: string };

function isEdit(entry: Row["entry"]): entry is Edit {
  return entry.kind === "tool_end" && entry.path !== undefined && entry.action !== undefined && entry.action !== "read";
}

function stampsOf(rows: readonly Row[]): [string, FileStamp][] {
  const stamps = new Map<string, FileStamp>();
  for (const { entry } of rows) {
    if (!isEdit(entry)) continue;
    if (entry.stamp) stamps.set(entry.path, entry.stamp);
    else stamps.delete(entry.path);
  }
  return [...stamps];
}

function editsOfOthers(sql: Sql, sessionId: string, since: number): [string, string][] {
  const rows = sql.all<{ path: string; session: string }>(
    `SELECT json_extract(body, '$.path') AS path, session FROM journal
     WHERE session IN (SELECT id FROM sessions WHERE lastSeenAt >= ? AND id <> ?) AND at >= ?
       AND kind = 'tool_end' AND json_extract(body, '$.action') IN ('edited', 'created', 'deleted')
     GROUP BY path`,
    since,
    sessionId,
    since,
  );
  return rows.map(({ path, session }) => [path, `chat ${shortSessionId(sql, session)} has edited it, too`]);
}

/**
 * Another chat's commands in the same folder and time, also those that had begun before; null:
 * there were none. A call without an end of its own is over when its turn is, or its chat.
 */
function commandsOfOthers(
  sql: Sql,
  { id, project }: Pick<Session, "id" | "project">,
  from: number,
  until: number,
): string | null {
  const rows = sql.all<{ session: string; name: string }>(
    `WITH turn AS (SELECT ? AS began, ? AS ended), others AS MATERIALIZED (
       SELECT id, began, ended, (SELECT max(seq) FROM journal WHERE session = sessions.id
         AND kind IN ('prompt', 'turn_end', 'failure') AND at < began) AS newestTurn
       FROM sessions, turn WHERE project = ? AND id <> ? AND (lastSeenAt >= began
         OR (owner IS NOT NULL AND endedAt IS NULL AND detachedAt IS NULL AND deathAt IS NULL)))
     SELECT DISTINCT session, json_extract(body, '$.name') AS name FROM others JOIN journal call ON session = id
     WHERE kind = 'tool_start' AND at <= ended AND (at >= began OR (seq > coalesce(newestTurn, 0)
       AND NOT EXISTS (SELECT 1 FROM journal later WHERE later.session = call.session AND later.seq > call.seq
         AND later.at < began AND later.kind IN ('tool_end', 'tool_error')
         AND json_extract(later.body, '$.id') = json_extract(call.body, '$.id'))))`,
    from,
    until,
    project,
    id,
  );
  const other = rows.find(({ name }) => mayChangeAnyFile(name))?.session;
  if (other === undefined) return null;
  return `chat ${shortSessionId(sql, other)} ran commands in this folder at the same time: whose change it is is not known`;
}

/** A turn in which a chat may have changed files. */
export interface ChangingTurn {
  readonly session: sessions.Session;
  readonly prompt: Moment;
  /** Epoch ms of the last call that may have. */
  readonly at: number;
}

/** Turns of all chats of a project that are asked for. */
const maxTurns = 100;
/** Rows of one chat that are read. */
const maxRows = 2_000;

/** Newest first. @param of one chat, or all of a project */
export function changingTurns(
  sql: Sql,
  of: { readonly session: sessions.Session } | { readonly project: string },
): ChangingTurn[] {
  const all = "session" in of ? [of.session] : sessions.list(sql, { project: of.project, limit: -1 });
  let turns: ChangingTurn[] = [];
  for (const session of all) {
    // The chats that follow were last seen before the turns that are asked for.
    if (session.lastSeenAt < (turns[maxTurns - 1]?.at ?? 0)) break;
    turns = [...turns, ...turnsOf(sql, session)].toSorted((one, other) => other.at - one.at);
  }
  return turns;
}

function turnsOf(sql: Sql, session: sessions.Session): ChangingTurn[] {
  const moments = listMoments(sql, session.id);
  const turns = new Map<Moment, ChangingTurn>();
  for (const { seq, at, entry } of journal.newest(sql, session.id, ["tool_start", "tool_end"], maxRows)) {
    const isChange =
      entry.kind === "tool_end" ? isEdited(entry) : entry.kind === "tool_start" && mayChangeFiles(entry.name);
    const prompt = isChange ? moments.findLast((one) => (one.seq ?? 0) < seq) : undefined;
    if (prompt && !turns.has(prompt)) turns.set(prompt, { session, prompt, at });
  }
  return [...turns.values()];
}

export interface UndoRow {
  readonly id: string;
  readonly session: string;
  readonly at: number;
  /** JSON with the files that it has changed. */
  readonly detail: string;
  /** 1: a redo has taken a part of it back. */
  readonly isRedoBegun: number;
}

/** The newest undo that has changed files and is not taken back, of a chat or a project. */
export function newestUndoOf(
  sql: Sql,
  of: { readonly session: string } | { readonly project: string },
): UndoRow | null {
  const [row] = sql.all<UndoRow>(
    `WITH done AS MATERIALIZED (SELECT c.id, c.session, c.at, c.seq, s.detail FROM checkpoints c
       JOIN snapshots s ON s.checkpointId = c.id
       WHERE c.session IN (SELECT id FROM sessions WHERE ${"session" in of ? "id" : "project"} = ?)
         AND c.trigger = 'undo' AND s.state = 'done')
     SELECT id, session, at, detail, EXISTS (SELECT 1 FROM done redo WHERE redo.detail ->> 'redoOf' = done.id) AS isRedoBegun
     FROM done WHERE detail ->> 'redoOf' IS NULL
       AND NOT EXISTS (SELECT 1 FROM done later WHERE later.detail ->> 'continues' = done.id
         OR (later.detail ->> 'redoOf' = done.id AND later.detail ->> 'open' IS NULL))
     ORDER BY at DESC, seq DESC LIMIT 1`,
    "session" in of ? of.session : of.project,
  );
  return row ?? null;
}

/** The newest undo of a chat, where it is of these turns and was killed, or refused in part. */
export function openUndoOf(sql: Sql, session: string, prompt: number): UndoRow | null {
  const row = newestUndoOf(sql, { session });
  const detail = asObject(parsed(row?.detail ?? null));
  return detail?.["open"] !== undefined && detail["prompt"] === prompt ? row : null;
}

/** Repositories that hold snapshots of a chat. */
export function repositoriesOf(sql: Sql, session: string): string[] {
  const query = "SELECT DISTINCT repository FROM snapshots WHERE session = ? AND repository IS NOT NULL";
  return sql.all<{ repository: string }>(query, session).map(({ repository }) => repository);
}
