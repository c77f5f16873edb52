import { mayChangeAnyFile, mayChangeFiles } from "../../clients/adapter/tools.ts";
import type { Trigger } from "../../contract/checkpoint.ts";
import * as life from "../sessions/life/row.ts";
import { isTurnBound } from "../../contract/turn-kinds.ts";
import { asObject, listAt } from "../../shared/json-fields.ts";
import type { Sql } from "../../shared/sql.ts";
import type { UndoneTurns } from "../../snapshots/undo-files.ts";
import { tickMs, type CallTime } from "../../snapshots/change-author.ts";
import { maxAwaitMs } from "../../snapshots/stored-snapshots.ts";
import {
  type EditOfOther,
  type Turn as UndoneTurn,
  type TurnEnd,
  type UndoneFile,
  type UndoStep,
} from "../../snapshots/undo-history.ts";
import { readCalls, type ReadCall } from "../sessions/checkpoints/changing-calls.ts";
import { listMoments, type Moment } from "./moments.ts";
import * as journal from "../sessions/journal.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Session } from "../sessions/sessions.ts";
import { imagesByCall } from "./images.ts";
import { shortSessionId } from "../sessions/session-identity.ts";
import { isEdited } from "../sessions/work-state.ts";

interface CheckpointRow {
  readonly at: number;
  readonly trigger: Trigger;
  /** Newest row of the chat's journal before it. */
  readonly journalSeq: number;
  /** 0: it is of an undo of another chat. */
  readonly isOwn: number;
  /** Epoch ms at which its files were read. */
  readonly readAt: number | null;
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
  end: CheckpointRow | null;
}

/** Turns and undos of a chat since a row of its journal. */
export function readSteps(sql: Sql, session: Pick<Session, "id" | "project">, since: number): UndoneTurns {
  const rows = journal.list(sql, session.id, since - 1, Number.MAX_SAFE_INTEGER);
  const calls = begunCalls(sql, session.id, true);
  const from = rows[0]?.at ?? 0;
  const steps = new Steps(rows, calls, callsOfOthers(sql, session, from), imagesByCall(sql, session.id));
  for (const row of checkpointsSince(sql, session, since, from)) steps.add(row);
  const others = editsOfOthers(sql, session.id, from);
  return { steps: steps.close(), others, isClockRight: isClockRight(rows, calls) };
}

/** Whether the clock of the files is that of the journal, as far as the chat's own edits show. */
function isClockRight(rows: readonly Row[], calls: readonly ReadCall[]): boolean {
  const byEnd = new Map(calls.map((call) => [call.end, call]));
  return rows.every(({ seq, entry }) => {
    const call = byEnd.get(seq);
    if (!isEdit(entry) || entry.stamp === undefined || call === undefined) return true;
    const { modifiedMs } = entry.stamp;
    return modifiedMs >= call.startAt - maxSkewMs && modifiedMs <= call.endAt + tickMs;
  });
}

/** A file's time may be in whole seconds. */
const maxSkewMs = 2_000;

/** Checkpoints of a chat since a row of its journal, and other chats' undos since a time. */
function checkpointsSince(
  sql: Sql,
  { id, project }: Pick<Session, "id" | "project">,
  since: number,
  at: number,
): CheckpointRow[] {
  return sql.all<CheckpointRow>(
    `SELECT c.seq, c.at, c.trigger, c.journalSeq, 1 AS isOwn, s.at AS readAt, s.state, s.reason, s."commit", s.detail
     FROM checkpoints c LEFT JOIN snapshots s ON s.checkpointId = c.id WHERE c.session = ? AND c.journalSeq >= ?
     UNION ALL
     SELECT c.seq, c.at, c.trigger, (SELECT MAX(seq) FROM journal WHERE session = ? AND at <= c.at), 0, s.at, s.state,
       s.reason, s."commit", s.detail
     FROM snapshots s JOIN checkpoints c ON c.id = s.checkpointId
     WHERE s.project = ? AND s.session <> ? AND s.at >= ? AND s.state = 'done' AND c.trigger = 'undo'
     ORDER BY seq`,
    id,
    since,
    id,
    project,
    id,
    at,
  );
}

const lastTriggers: ReadonlySet<Trigger> = new Set(["session_end", "detached"]);
/** Time in ms after its checkpoint in which a reading is still that of its moment. */
const soonMs = 5_000;

class Steps {
  readonly #rows: readonly Row[];
  readonly #calls: readonly ReadCall[];
  readonly #others: readonly CallTime[];
  readonly #images: ReturnType<typeof imagesByCall>;
  readonly #bounds: readonly number[];
  readonly #steps: UndoStep[] = [];
  #turn: Turn | null = null;
  /** Row with which the newest turn began that has a step. */
  #passed = 0;

  constructor(
    rows: readonly Row[],
    calls: readonly ReadCall[],
    others: readonly CallTime[],
    images: ReturnType<typeof imagesByCall>,
  ) {
    this.#images = images;
    this.#rows = rows;
    this.#calls = calls;
    this.#others = others;
    this.#bounds = rows.filter(({ entry }) => isTurnBound(entry.kind)).map(({ seq }) => seq);
  }

  add(row: CheckpointRow): void {
    const turn = this.#turn;
    if (row.trigger === "undo") return this.#addUndo(row);
    const began = this.#bounds.findLast((seq) => seq <= row.journalSeq) ?? 0;
    const isStart = row.trigger === "turn" || row.trigger === "before_tool";
    if (isStart && (turn === null || began > turn.began)) {
      this.#endTurn(row);
      this.#passUnsaved(began);
      this.#turn = { began, over: this.#overAfter(row.journalSeq), start: row, end: null };
      return;
    }
    if (turn === null || (turn.end?.state === "done" && !this.#ranBehind(turn, turn.end))) return;
    if (lastTriggers.has(row.trigger) || (turn.over !== null && row.journalSeq >= turn.over)) turn.end = row;
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
      const none = { start: null, end: null, beganAt: 0, calls: [], isOnlyEdited: isOnlyEdited(calls) };
      const unsaved = "the files before that turn were not saved, or are stored no more";
      this.#steps.push({ ...none, unsaved, ...this.#editsIn(calls) });
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
    const isOpen = turn !== null && turn.end === null && (turn.over === null || turn.over > row.journalSeq);
    const isInTurn = isOpen || (turn !== null && this.#ranBehind(turn, row));
    if (isOpen) turn.end = row;
    this.#endTurn(row);
    const [isRedo, isUnfinished] = [detail?.["redoOf"] !== undefined, detail?.["open"] === "killed"];
    this.#steps.push({ start: row.commit, undone, isOwn: row.isOwn === 1, isRedo, isUnfinished });
    if (turn !== null && isInTurn) this.#turn = { ...turn, start: null, end: null };
  }

  /** Whether a program that the turn left in the background ran on behind a reading. */
  #ranBehind({ began, over }: Turn, { at, readAt }: CheckpointRow): boolean {
    return this.#calls.some(
      ({ start, end, backgroundUntil }) =>
        end > began && start < (over ?? Infinity) && backgroundUntil !== null && backgroundUntil > (readAt ?? at),
    );
  }

  /** @param next start of the next step; null: there is none */
  #endTurn(next: CheckpointRow | null): void {
    const turn = this.#turn;
    this.#turn = null;
    if (turn === null) return;
    const own = this.#rows.filter(({ seq }) => seq > turn.began && (turn.over === null || seq <= turn.over));
    const calls = this.#calls.filter(({ end, start }) => end > turn.began && start < (turn.over ?? Infinity));
    // A call whose end was lost may have edited more.
    const isEdited = isOnlyEdited(own) && calls.every(({ ending }) => ending === "own");
    this.#steps.push({
      start: turn.start?.commit ?? null,
      unsaved: turn.start === null ? null : unsavedText(turn.start),
      end: this.#endOf(turn, next),
      beganAt: calls[0]?.startAt ?? own[0]?.at ?? 0,
      calls: [...calls.flatMap(timesOf), ...(isEdited ? [] : this.#others)],
      isOnlyEdited: isEdited,
      ...this.#editsIn(own),
    });
  }

  #editsIn(rows: readonly Row[]): Pick<UndoneTurn, "edited" | "images"> {
    const edits = rows.flatMap(({ entry }) => (isEdit(entry) ? [entry] : []));
    return { edited: edits.map(({ path }) => path), images: edits.flatMap(({ id }) => this.#images.get(id) ?? []) };
  }

  /** The first reading at its end or later; one in the next turn has that one's changes, too. */
  #endOf({ end }: Turn, next: CheckpointRow | null): TurnEnd | null {
    const readAt = end?.readAt ?? 0;
    const isBeforeNext = next === null || next.commit !== null || readAt <= next.at;
    if (end?.state === "done" && end.commit !== null && isBeforeNext)
      return { commit: end.commit, readAt, isInTime: readAt - end.at <= soonMs && end.trigger !== "undo" };
    if (next === null) return { commit: null, readAt: Infinity, isInTime: false };
    if (next.commit === null || next.state !== "done") return null;
    return { commit: next.commit, readAt: next.readAt ?? next.at, isInTime: false };
  }
}

/** Whether no program ran that may have changed other files. */
function isOnlyEdited(rows: readonly Row[]): boolean {
  return !rows.some(({ entry }) => entry.kind === "tool_start" && mayChangeAnyFile(entry.name));
}

/** Time in ms in which a program that was killed may still write. */
const killedMs = 1_000;

function timesOf({ ranAt, overAt, ending, backgroundUntil }: ReadCall): CallTime[] {
  const during = { from: ranAt, to: overAt, other: null, isCertain: ending !== "unknown" };
  const until = backgroundUntil ?? (ending === "own" ? null : overAt + killedMs);
  return until === null ? [during] : [during, { from: overAt, to: until, other: null, isCertain: false }];
}

/** @returns null: the files before the turn were saved in time */
function unsavedText({ at, readAt, state, reason, commit }: CheckpointRow): string | null {
  const isLate = (readAt ?? at) - at > maxAwaitMs;
  if (commit !== null && !isLate) return null;
  const unread = reason ?? (state === null ? "snapshots are switched off" : state);
  return `the files before that turn were not saved: ${commit === null ? unread : "they were read too late"}`;
}

function parsed(text: string | null): unknown {
  return text === null ? null : JSON.parse(text);
}

type Edit = Extract<Row["entry"], { readonly kind: "tool_end" }> & { readonly path: string };

function isEdit(entry: Row["entry"]): entry is Edit {
  return entry.kind === "tool_end" && entry.path !== undefined && entry.action !== undefined && entry.action !== "read";
}

function editsOfOthers(sql: Sql, sessionId: string, since: number): EditOfOther[] {
  const firsts = sql.all<{ path: string; session: string; call: string }>(
    `SELECT body ->> 'path' AS path, session, body ->> 'id' AS call, MIN(seq) FROM journal
     WHERE session IN (SELECT id FROM sessions WHERE lastSeenAt >= ? AND id <> ?) AND at >= ?
       AND kind = 'tool_end' AND body ->> 'action' IN ('edited', 'created', 'deleted')
     GROUP BY path`,
    since,
    sessionId,
    since,
  );
  const images = new Map([...new Set(firsts.map(({ session }) => session))].map((id) => [id, imagesByCall(sql, id)]));
  return firsts.map(({ path, session, call }) => {
    const imagesOfCall = images.get(session)?.get(call);
    const image = imagesOfCall?.find((one) => one.path === path);
    const reason = `chat ${shortSessionId(sql, session)} has edited it, too`;
    return { path, before: image?.before ?? { is: "unknown", reason }, reason };
  });
}

/** Newest rows of another chat that are read. */
const maxOtherRows = 2_000;

/** One that waits for leave has not begun. @param mayAny each open one, where none is known to */
function begunCalls(sql: Sql, session: string, mayAny: boolean, limit?: number): ReadCall[] {
  const asks = life.read(sql, session)?.asks;
  const isWaiting = ({ id, overAt }: ReadCall): boolean =>
    overAt === Infinity && asks?.for === "permission" && (asks.call === undefined ? mayAny : asks.call === id);
  return readCalls(sql, session, limit).filter((call) => !isWaiting(call));
}

/** Commands of other chats in the folder, above it or in it. */
function callsOfOthers(sql: Sql, { id, project }: Pick<Session, "id" | "project">, since: number): CallTime[] {
  const living = sql.all<{ id: string; project: string }>(
    `SELECT id, project FROM sessions WHERE project IS NOT NULL AND id <> ? AND (lastSeenAt >= ?
       OR (owner IS NOT NULL AND ending IS NULL))`,
    id,
    since,
  );
  const folder = `${project ?? ""}/`;
  const others = living.filter((one) => folder.startsWith(`${one.project}/`) || `${one.project}/`.startsWith(folder));
  return others.flatMap((chat) => {
    const other = `chat ${shortSessionId(sql, chat.id)} ran commands in this folder`;
    return begunCalls(sql, chat.id, false, maxOtherRows).flatMap(({ name, ranAt, overAt, ending, backgroundUntil }) => {
      const to = backgroundUntil ?? overAt;
      // The end of a file tool says what it has edited.
      const isAny = mayChangeAnyFile(name) || ending === "unknown";
      return !isAny || to < since ? [] : [{ from: ranAt, to, other, isCertain: true }];
    });
  });
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

/** Newest first, those of persons before others. @param of one chat, or all of a project */
export function changingTurns(
  sql: Sql,
  of: { readonly session: sessions.Session } | { readonly project: string },
): ChangingTurn[] {
  const all = "session" in of ? [of.session] : sessions.each(sql, { project: of.project, withScripts: true });
  const turns: ChangingTurn[] = [];
  for (const session of all) {
    // The chats that follow were last seen before the turns that are asked for.
    if (turns.filter(({ at }) => at > session.lastSeenAt).length >= maxTurns) break;
    turns.push(...turnsOf(sql, session));
  }
  return turns.toSorted((one, other) => sessions.byPerson(one.session, other.session) || other.at - one.at);
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
  /** Newest row of the chat's journal before it. */
  readonly journalSeq: number;
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
    `WITH done AS MATERIALIZED (SELECT c.id, c.session, c.at, c.seq, c.journalSeq, s.detail FROM checkpoints c
       JOIN snapshots s ON s.checkpointId = c.id
       WHERE c.session IN (SELECT id FROM sessions WHERE ${"session" in of ? "id" : "project"} = ?)
         AND c.trigger = 'undo' AND s.state = 'done')
     SELECT id, session, at, journalSeq, detail, EXISTS (SELECT 1 FROM done redo WHERE redo.detail ->> 'redoOf' = done.id) AS isRedoBegun
     FROM done WHERE detail ->> 'redoOf' IS NULL
       AND NOT EXISTS (SELECT 1 FROM done later WHERE later.detail ->> 'continues' = done.id
         OR (later.detail ->> 'redoOf' = done.id AND later.detail ->> 'open' IS NULL))
     ORDER BY at DESC, seq DESC LIMIT 1`,
    "session" in of ? of.session : of.project,
  );
  return row ?? null;
}

/** The newest undo of a chat, if it was killed, or refused in part, and no prompt came since. */
export function openUndoOf(sql: Sql, session: string): (UndoRow & { readonly prompt: unknown }) | null {
  const row = newestUndoOf(sql, { session });
  const { open, prompt } = asObject(parsed(row?.detail ?? null)) ?? {};
  const [{ seq } = { seq: 0 }] = journal.newest(sql, session, ["prompt"], 1);
  return row === null || open === undefined || seq > row.journalSeq ? null : { ...row, prompt };
}

/** Repositories that hold snapshots of a chat or of its project. */
export function repositoriesOf(sql: Sql, session: string, project: string): string[] {
  const query =
    "SELECT DISTINCT repository FROM snapshots WHERE (session = ? OR project = ?) AND repository IS NOT NULL";
  return sql.all<{ repository: string }>(query, session, project).map(({ repository }) => repository);
}
