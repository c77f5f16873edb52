import type { Trigger } from "../../contract/checkpoint.ts";
import type { ForkFiles, ForkMoment } from "../../contract/machine/forks.ts";
import { oneLine } from "../../shared/format.ts";
import type { Sql } from "../../shared/sql.ts";
import type { SavedCommit } from "../../snapshots/make-bundle.ts";
import { maxAwaitMs } from "../../snapshots/stored-snapshots.ts";
import { currentState, stateAt, type PastState } from "../sessions/checkpoints/capture.ts";
import * as journal from "../sessions/journal.ts";
import { shownPrompt } from "../sessions/prompts.ts";
import { isRequest } from "../sessions/work-state.ts";
import { readCalls, type ChangingCall } from "../sessions/checkpoints/changing-calls.ts";

/** A prompt of a session, at which it can be forked. */
export interface Moment {
  /** 1: the first prompt. */
  readonly number: number;
  /** Epoch ms. */
  readonly at: number;
  readonly text: string;
  /** Its row of the journal; null: that was pruned, or a fork has copied the prompt. */
  readonly seq: number | null;
  /** The user took it back in the client: by a rewind, a rollback or an edit. */
  readonly isTakenBack: boolean;
  /** The session that a fork copied it from, by its client; "": not known, null: it is own. */
  readonly copiedFrom: string | null;
}

/** @returns null: the events since the prompt are stored */
export function lackOf({ seq, number, copiedFrom }: Moment): string | null {
  if (seq !== null) return null;
  if (copiedFrom === null) return `the events since prompt ${number} are deleted by now`;
  const of = `prompt ${number} is of the chat${copiedFrom && ` ${copiedFrom.slice(0, 8)}`} that it was forked from`;
  return `${of}: name that one instead`;
}

/** All prompts that are known, oldest first; their numbers count those that are not. */
export function listMoments(sql: Sql, session: string): Moment[] {
  const { prompts = [], droppedPrompts = 0 } = currentState(sql, session) ?? {};
  const rows = journal.newest(sql, session, ["prompt", "taken_back"], Number.MAX_SAFE_INTEGER).toReversed();
  const takenBack = new Set(rows.flatMap(({ entry }) => (entry.kind === "taken_back" ? [entry.said] : [])));
  const own = rows
    .flatMap(({ seq, at, entry }) =>
      entry.kind === "prompt" && isRequest(entry.text) ? [{ seq, at, text: shownPrompt(entry) }] : [],
    )
    .toSorted((one, other) => one.at - other.at);
  const inherited = journal.newest(sql, session, ["inherited"], Number.MAX_SAFE_INTEGER);
  const copied = new Map(
    inherited.flatMap(({ at, entry }) =>
      entry.kind === "inherited" && entry.by === "user" ? [[at, entry.from ?? ""] as const] : [],
    ),
  );
  const pruned = prompts.filter(({ at }) => at < (own[0]?.at ?? Infinity));
  const before = Math.max(pruned.length, prompts.length + droppedPrompts - own.length);
  return [
    // Prompts that made room for newer ones stood between the first and the others.
    ...pruned.map(({ at, text }, index) => {
      const number = index === 0 ? 1 : before - pruned.length + index + 1;
      return { number, at, text, seq: null, isTakenBack: false, copiedFrom: copied.get(at) ?? null };
    }),
    ...own.map(({ seq, at, text }, index) => {
      return { number: before + index + 1, seq, at, text, isTakenBack: takenBack.has(at), copiedFrom: null };
    }),
  ];
}

/** Numbers of a session's prompts, by their rows of the journal. */
export function promptNumbers(sql: Sql, session: string): ReadonlyMap<number, number> {
  return new Map(listMoments(sql, session).flatMap(({ seq, number }) => (seq === null ? [] : [[seq, number]])));
}

/** Saved files of a session. */
export interface SavedFiles extends SavedCommit {
  readonly checkpointId: string;
  readonly trigger: Trigger;
  /** Last row of the journal before them. */
  readonly journalSeq: number;
  readonly checkpointAt: number;
  /** Epoch ms at which they were read. */
  readonly at: number;
  /** JSON with the files that were left out. */
  readonly detail: string;
}

/** Prompts of a session, its saved files, and the calls that may have changed files. */
export interface FilesOfSession {
  readonly moments: readonly Moment[];
  readonly saved: readonly SavedFiles[];
  /** In the order of their starts. */
  readonly calls: readonly ChangingCall[];
}

export function readFilesOfSession(sql: Sql, session: string): FilesOfSession {
  const saved = sql.all<SavedFiles>(
    `SELECT s.checkpointId, c.trigger, c.journalSeq, c.at AS checkpointAt, s.at, s.repository, s."commit", s.head,
       s.project, s.detail
     FROM snapshots s JOIN checkpoints c ON c.id = s.checkpointId
     WHERE s.session = ? AND s.state = 'done' AND s.repository IS NOT NULL ORDER BY c.seq`,
    session,
  );
  return { moments: listMoments(sql, session), saved, calls: readCalls(sql, session) };
}

/** Triggers whose files are read before a call of a tool begins. */
const beforeCalls: ReadonlySet<Trigger> = new Set(["before_tool", "turn"]);

/** Whether no call between the prompt and the saved files may have changed a file. */
function isSameAs(prompt: number, saved: SavedFiles, calls: readonly ChangingCall[]): boolean {
  const { journalSeq, at, checkpointAt, trigger } = saved;
  const [from, to] = [Math.min(prompt, journalSeq), Math.max(prompt, journalSeq)];
  const isBetween = (call: ChangingCall): boolean => call.end > from && (call.start <= to || call.startAt <= at);
  const isOfCall = beforeCalls.has(trigger) && at - checkpointAt <= maxAwaitMs && journalSeq >= prompt;
  if (!isOfCall) return !calls.some(isBetween);
  const between = calls.filter(isBetween);
  // The call for which they were read has begun, and waits; one that begins meanwhile waits, too.
  const begun = between.filter(({ start }) => start <= journalSeq);
  return begun.length <= 1 && between.every((call) => call.start > prompt && call.end > journalSeq && call.endAt >= at);
}

/**
 * The files of a prompt's moment: the first that were saved after it and before the next one,
 * else the last before it, else the first after it.
 */
export function filesAt({ moments, saved, calls }: FilesOfSession, moment: Moment): SavedFiles | null {
  const { seq } = moment;
  const next = moments[moments.indexOf(moment) + 1];
  if (seq === null) return null;
  const later = saved.find((one) => one.journalSeq >= seq && isSameAs(seq, one, calls));
  if (later !== undefined && later.checkpointAt < (next?.at ?? Infinity)) return later;
  return saved.findLast((one) => one.journalSeq < seq && isSameAs(seq, one, calls)) ?? later ?? null;
}

export function toForkMoment(files: FilesOfSession, moment: Moment): ForkMoment {
  const { number, at, text, isTakenBack } = moment;
  const saved = filesAt(files, moment);
  return { number, at, text: oneLine(text, maxTextChars), isTakenBack, files: saved && toForkFiles(saved, moment) };
}

const maxTextChars = 200;

export function toForkFiles(saved: SavedFiles, { at }: Moment): ForkFiles {
  return { checkpoint: saved.checkpointId, at: saved.at, isBefore: saved.at < at };
}

/** @returns null: events before the moment are deleted by now */
export function stateOfMoment(
  sql: Sql,
  session: string,
  moments: readonly Moment[],
  { seq }: Moment,
): PastState | null {
  if (seq === null) return null;
  const past = stateAt(sql, session, seq);
  // Rows are pruned from the oldest on.
  const oldest = journal.list(sql, session, 0, 1)[0]?.seq ?? seq;
  const copied = journal.newest(sql, session, ["inherited"], Number.MAX_SAFE_INTEGER);
  const isWhole = moments.filter((one) => one.seq === null).length <= copied.length && moments[0]?.number === 1;
  return isWhole || (past.checkpoint?.journalSeq ?? 0) >= oldest ? past : null;
}
