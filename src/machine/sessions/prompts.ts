import type { TranscriptText } from "../../clients/transcript/transcript-draft.ts";
import type { JournalEntry } from "../../contract/journal.ts";
import { oneLine } from "../../shared/format.ts";
import type { Sql } from "../../shared/sql.ts";
import { cutOffMark, idOf, type KeyedEntry } from "./entries.ts";
import * as journal from "./journal.ts";
import { isSlashCommand } from "./slash-command.ts";

/** The user's prompts, each once: events, rows of the transcript and phones report them. */

type Prompt = Extract<JournalEntry, { readonly kind: "prompt" }>;

/** On a busy machine an event comes some seconds behind the row of its prompt. */
const most = { eventAfterRowMs: 10_000, eventBeforeRowMs: 2_000 };

/** A row of the queue, which another one follows when the model gets the prompt. */
const queueRow = "queue:";

export function queuedRow(id: string): string {
  return `${queueRow}${id}`;
}

/** Whether all that is known of a prompt is its row in the queue. */
export function isQueued({ row }: Prompt): boolean {
  return row?.startsWith(queueRow) === true;
}

/**
 * Stores a prompt as one source reports it: the transcript, if the entry names a row, else an
 * event. It completes what the other source has reported. Equal texts of one source are as many
 * prompts.
 *
 * @param typedAt epoch ms, where its row was written later than that
 * @returns whether it is new from this source
 */
export function record(
  sql: Sql,
  session: string,
  at: number,
  { key, entry }: KeyedEntry<Prompt>,
  typedAt = at,
): boolean {
  const { row, text } = entry;
  const isEvent = row === undefined;
  const from = isEvent ? at - most.eventAfterRowMs : typedAt - most.eventBeforeRowMs;
  const until = at + (isEvent ? most.eventBeforeRowMs : most.eventAfterRowMs);
  const near = journal.promptsBetween(sql, session, from, until);
  if (journal.has(sql, session, key) || near.some((one) => !isEvent && one.entry.row === row)) return false;
  const isOpen = isEvent ? isOfRowAlone : hasNoRow;
  const known = near.find((one) => isOpen(one) && isSame(one.entry.text, text));
  if (known === undefined) return journal.append(sql, session, at, key, entry);
  const whole = { ...known.entry, ...entry, text: isMore(text, known.entry.text) ? text : known.entry.text };
  journal.replace(sql, known.seq, isEvent ? key : known.key, whole);
  if (whole.text !== known.entry.text)
    journal.append(sql, session, known.at, `whole:${key}`, { kind: "prompt_text", said: known.at, text: whole.text });
  return isEvent;
}

/** Key of what a fork has copied: rows of several files may have the same name, a position. */
export function inheritedKey(at: number | null, name: string): string {
  return `inherited:${at}:${idOf(name)}`;
}

/**
 * Stores that the user took back a prompt, which its row names. A prompt that is not known is left
 * out.
 *
 * @param now epoch ms: all until then is taken back where no prompt followed
 */
export function takeBack(sql: Sql, session: string, now: number, { uuid, text, at }: TranscriptText): void {
  const row = idOf(uuid);
  const key = `taken_back:${row}`;
  if (journal.has(sql, session, key)) return;
  const [from, to] = at === null ? [0, now] : [at - most.eventBeforeRowMs, at + most.eventAfterRowMs];
  const near = journal.promptsBetween(sql, session, from, to);
  const prompt = near.find(({ entry }) => entry.row === row) ?? near.find(({ entry }) => isSame(entry.text, text));
  const said = prompt?.at ?? journal.find(sql, session, inheritedKey(at, uuid))?.at;
  if (said !== undefined) tookBack(sql, session, now, key, said);
}

/** The same of the prompt to which its client's event gave an id. */
export function takeBackNamed(sql: Sql, session: string, now: number, id: string): void {
  const prompts = journal.promptsBetween(sql, session, 0, now);
  const said = prompts.find(({ key }) => key.startsWith(`prompt:${id}:`))?.at;
  if (said !== undefined) tookBack(sql, session, now, `taken_back:${id}`, said);
}

/**
 * Stores that the user took back the prompts that the texts lack with which the session continued.
 *
 * @param until epoch ms: when it continued with them
 */
export function takeBackMissing(sql: Sql, session: string, kept: readonly TranscriptText[], until: number): void {
  const from = kept.at(-1)?.at ?? 0;
  for (const { at, entry } of journal.promptsBetween(sql, session, from, until))
    if (!kept.some((one) => isSame(one.text, entry.text) && at - (one.at ?? 0) <= most.eventAfterRowMs))
      tookBack(sql, session, until, `taken_back:${at}`, at);
}

function tookBack(sql: Sql, session: string, now: number, key: string, said: number): void {
  const until = journal.nextPromptAt(sql, session, said) ?? now;
  journal.append(sql, session, until, key, { kind: "taken_back", said, until });
}

/** Begins the turn in the key of a prompt that its row alone has reported. */
export const rowTurn = "row:";

function isOfRowAlone({ key }: journal.PromptRow): boolean {
  return key.startsWith(`prompt:${rowTurn}`);
}

/** Words that SHIM itself has delivered have none. */
function hasNoRow({ key, entry: { row, from } }: journal.PromptRow): boolean {
  const isDelivered = from !== undefined && key.startsWith("prompt:user:");
  return !isDelivered && (row === undefined || row.startsWith(queueRow));
}

/** Whether the session has the prompt of a row. */
export function hasPrompt(sql: Sql, session: string, { text, at }: Pick<TranscriptText, "text" | "at">): boolean {
  const [from, to] = at === null ? [0, -1] : [at - most.eventBeforeRowMs, at + most.eventAfterRowMs];
  return journal.promptsBetween(sql, session, from, to).some(({ entry }) => isSame(entry.text, text));
}

export function isSame(one: string, other: string): boolean {
  return one === other || isMore(one, other) || isMore(other, one);
}

/** A longer text is stored by its ends alone. */
const comparedChars = 4_000;

/** Whether a text has attachments that the other one lacks, or its end. */
function isMore(text: string, other: string): boolean {
  const isCut = other.endsWith(cutOffMark);
  return text.startsWith(isCut ? other.slice(0, -cutOffMark.length).slice(0, comparedChars) : `${other}\n[attached: `);
}

/** A prompt as it is shown: with its surface, if that was not the chat's terminal. */
export function shownPrompt({ text, from }: { readonly text: string; readonly from?: string | undefined }): string {
  return from === undefined ? text : `(from the ${oneLine(from)}) ${text}`;
}

/** Title of a session that begins with the prompt; null: it asks for no work. */
export function titleOf(text: string): string | null {
  return isSlashCommand(text) ? null : (text.split("\n")[0]?.slice(0, 100) ?? null);
}
