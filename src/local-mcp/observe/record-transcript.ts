import type { Sql } from "../../shared/sql.ts";
import { approvedPlan, assistant, redactAndClip, idOf, limits } from "../sessions/entries.ts";
import { entriesOf } from "../sessions/hook-entries.ts";
import * as journal from "../sessions/journal.ts";
import { isSessionPaused, pauseReadLimits, markTranscript } from "../sessions/paused-session.ts";
import * as sessions from "../sessions/sessions.ts";
import type { TranscriptText } from "../signals/transcript-draft.ts";
import { transcriptFormat } from "../signals/transcript-formats.ts";
import { readAppended, type TranscriptPart } from "../signals/transcript.ts";
import { countResponses, type Prices } from "../usage/ledger.ts";
import { budgetMs, OverBudgetError, withinBudget } from "../../platform/time-budget.ts";
import { recordSubagents } from "./subagent-files.ts";
import { recordMissedTools, type MissedToolOptions } from "./missed-tools.ts";
import { isTurnOpen, readTurnEnd, recordTurnEnd } from "./record-turn-end.ts";

/** [RE13] Stores what a client wrote into its transcript after the last hook; the readings stay. */
export function catchUp(sql: Sql, now: number, sessionId: string): void {
  const session = sessions.get(sql, sessionId);
  if (!session?.transcriptPath) return;
  const { transcriptPath: path } = session;
  const limits = { ...pauseReadLimits(sql, path, session), format: transcriptFormat(session.client) };
  const part = readAppended(path, session.transcriptOffset, limits);
  // [HO10] Text from a pause is skipped even after the pause has ended.
  const isPaused = isSessionPaused(sql, now, session);
  if (part.offset !== session.transcriptOffset) {
    if (isPaused) markTranscript(sql, path, part.size);
    else recordWithinBudget(sql, session, part, now, { isOver: true });
    sessions.update(sql, sessionId, { transcriptOffset: part.offset });
  }
  if (isPaused) return;
  recordSubagents(sql, session, now);
  if (isTurnOpen(sql, sessionId)) recordTurnEnd(sql, sessionId, now, part.turnEnd ?? readTurnEnd(path, limits));
}

export interface RecordOptions extends MissedToolOptions {
  readonly prices?: Prices;
  /** Prompt whose event is being recorded. */
  readonly prompt?: string | undefined;
}

/** Records texts, usage and missed tool calls. Returns the number of unreported calls. */
export function recordTranscript(
  sql: Sql,
  session: sessions.Session,
  part: TranscriptPart,
  now: number,
  options: RecordOptions = {},
): number {
  if (part.isOverBudget) recordUnreadPart(sql, session, part, now);
  recordTexts(sql, session.id, now, part, options.prompt?.trim());
  recordPlans(sql, session.id, part);
  countResponses(sql, session, part, now, options.prices);
  const missed = recordMissedTools(sql, session, now, part, options);
  recordInterruptions(sql, session.id, part);
  return missed;
}

/** [JO42] Entries that were recorded before the time was over stay. */
export function recordWithinBudget(...[sql, session, part, now, options]: Parameters<typeof recordTranscript>): void {
  try {
    withinBudget(() => recordTranscript(sql, session, part, now, options), recordMs);
  } catch (error) {
    if (!(error instanceof OverBudgetError)) throw error;
    recordUnreadPart(sql, session, part, now);
  }
}

/** More than one budget: a busy machine may withhold the processor, and there is no second try. */
const recordMs = 10 * budgetMs;

/** [JO42] The part's text is not stored: the client's transcript keeps it. */
export function recordUnreadPart(
  sql: Sql,
  { id, transcriptOffset }: Pick<sessions.Session, "id" | "transcriptOffset">,
  { offset }: Pick<TranscriptPart, "offset">,
  now: number,
): void {
  const text = `bytes ${transcriptOffset} to ${offset}`;
  journal.append(sql, id, now, `unread:transcript:${offset}`, { kind: "unread", of: "transcript", text });
}

/** [JO4] Runs before the hook's event is stored: the transcript describes what came before. */
function recordTexts(sql: Sql, sessionId: string, now: number, part: TranscriptPart, prompt?: string): void {
  for (const text of part.texts) {
    if (text.role === "assistant") recordAssistant(sql, sessionId, text.at ?? now, text.text);
    else if (text.startsNoTurn === "queued" && text.text !== prompt) recordQueued(sql, sessionId, now, text);
  }
  for (const { uuid, text, at } of part.apiErrors) {
    journal.append(sql, sessionId, at ?? now, `failure:${idOf(uuid)}`, {
      kind: "failure",
      text: redactAndClip(text, limits.error),
    });
  }
}

/** [JO2] Stores a text from hook and transcript once per turn. */
export function recordAssistant(sql: Sql, sessionId: string, at: number, text: string): void {
  const keyedEntry = assistant(text);
  if (!keyedEntry) return;
  journal.append(sql, sessionId, at, `${keyedEntry.key}:${journal.newestPromptSeq(sql, sessionId)}`, keyedEntry.entry);
}

/** No client has an event for it. */
function recordInterruptions(sql: Sql, sessionId: string, { interruptions }: TranscriptPart): void {
  const { at: since = 0 } = journal.newestPrompt(sql, sessionId) ?? {};
  for (const { at } of interruptions)
    if (at !== null && at >= since && isTurnOpen(sql, sessionId))
      journal.append(sql, sessionId, at, `interrupted:${at}`, { kind: "interrupted" });
}

/** Enough to find the words before a prompt among those after it. */
const maxWordsSincePlan = 50;

/** [TR211] A plan is mostly read with the end of its turn, and so before it is approved. */
function recordPlans(sql: Sql, sessionId: string, { plans }: TranscriptPart): void {
  for (const { text, at, uuid } of plans) {
    const plan = text ?? (at === null ? null : headedWordsBefore(sql, sessionId, at));
    if (plan === null || at === null) continue;
    const { key, entry } = approvedPlan(plan, idOf(uuid));
    journal.append(sql, sessionId, at, key, entry);
  }
}

/** The chat's last words before a time, where they begin with a heading as each plan does. */
function headedWordsBefore(sql: Sql, sessionId: string, at: number): string | null {
  const rows = journal.newest(sql, sessionId, ["assistant"], maxWordsSincePlan);
  const entry = rows.find((row) => row.at < at)?.entry;
  return entry?.kind === "assistant" && entry.text.startsWith("#") ? entry.text : null;
}

/** Between the event of a prompt and its row. */
const reportedMs = 5_000;

/** [TR206] A prompt that the model got in its turn may have no event. */
function recordQueued(sql: Sql, sessionId: string, now: number, { text, uuid, at: typedAt }: TranscriptText): void {
  const at = typedAt ?? now;
  const reported = journal.newest(sql, sessionId, ["prompt"], maxQueued).filter((row) => row.at >= at - reportedMs);
  const texts = new Set(reported.map(({ entry }) => (entry.kind === "prompt" ? entry.text : "")));
  const input = { session_id: sessionId, prompt: text };
  for (const { key, entry } of entriesOf("UserPromptSubmit", input, `queued:${idOf(uuid)}`))
    if (entry.kind === "prompt" && !texts.has(entry.text)) journal.append(sql, sessionId, at, key, entry);
}

/** More prompts than anybody types during one turn. */
const maxQueued = 50;
