import { refusedText } from "../../../clients/adapter/harness-text.ts";
import { adapterOf } from "../../../clients/adapters.ts";
import { isBySubagent } from "../../../clients/adapter/tools.ts";
import { transcriptFormat } from "../../../clients/details.ts";
import { readAppended, type ReadLimits, type TranscriptPart } from "../../../clients/transcript.ts";
import type {
  Damage,
  TranscriptCompaction,
  TranscriptContent,
  TranscriptText,
  TranscriptTurnEnd,
} from "../../../clients/transcript/transcript-draft.ts";
import { unreadBytes } from "../../../clients/transcript/transcript-file.ts";
import type { JournalEntry } from "../../../contract/journal.ts";
import { callKinds, turnBounds } from "../../../contract/turn-kinds.ts";
import { OverBudgetError, budgetMs, withinBudget } from "../../../platform/time-budget.ts";
import { countUntil } from "../../../shared/count-until.ts";
import { maxAheadMs } from "../../../shared/known-time.ts";
import type { Sql } from "../../../shared/sql.ts";
import { approvedPlan, assistant, failure, idOf } from "../entries.ts";
import { entriesOf, noteEntries } from "../hook-entries.ts";
import { isEndUnseen, isInTurn } from "../life/questions.ts";
import * as clients from "../clients.ts";
import * as life from "../life/row.ts";
import * as journal from "../journal.ts";
import * as news from "../news.ts";
import * as prompts from "../prompts.ts";
import { isSessionPaused, pauseReadLimits, markTranscript } from "../session-settings.ts";
import * as sessions from "../sessions.ts";
import type { Session } from "../sessions.ts";
import { countResponses, type Prices } from "../usage/ledger.ts";
import { callsOf, type MissedToolOptions, recordAll, recordMissedTools } from "./record-calls.ts";
import { recordInherited } from "./record-inherited.ts";
import { recordSubagents } from "./record-subagents.ts";

/** Parts whose time is kept; all are counted. */
const maxParts = 50;

/**
 * Records the parts that a transcript lacks, for the brief.
 *
 * @param at epoch ms; a part that has no time of its own, or a later one, has none
 * @param source part of the key: what was read
 */
export function recordDamages(
  sql: Sql,
  session: string,
  at: number,
  source: string,
  { damages, isEndDamaged, isBranched }: Pick<TranscriptContent, "damages" | "isEndDamaged" | "isBranched">,
): void {
  if (damages.length === 0 && !isBranched) return;
  const parts = damages.map((damage) => ({
    at: damage.at !== null && damage.at <= at ? damage.at : null,
    bytes: damage.bytes,
  }));
  journal.append(sql, session, at, `damaged:${source}`, {
    kind: "damaged",
    parts: parts.slice(-maxParts),
    count: parts.length,
    ...(isEndDamaged ? { isAtEnd: true } : {}),
    ...(isBranched ? { isBranched: true } : {}),
  });
}

/** Stores what a client wrote into its transcript after the last hook; the readings stay. */
export function catchUp(sql: Sql, now: number, sessionId: string): void {
  const session = sessions.get(sql, sessionId);
  if (!session?.transcriptPath || sessions.isOnlyImported(session)) return;
  const { transcriptPath: path } = session;
  const isPaused = isSessionPaused(sql, now, session);
  const limits = readLimitsOf(sql, path, session);
  const part = readAppended(path, session.transcriptOffset, isPaused ? withTimesAlone(limits) : limits);
  if (part.offset !== session.transcriptOffset) {
    recordWithinBudget(sql, session, part, now, { isOver: !isPaused });
    // Text from a pause is skipped even after the pause has ended.
    if (isPaused) markTranscript(sql, path, part.size);
    sessions.update(sql, sessionId, { transcriptOffset: part.offset });
  }
  if (isPaused) return;
  // Some clients write none until a turn is over, or ever.
  if (part.unreadable !== null && (session.transcriptOffset > 0 || part.unreadable !== "ENOENT"))
    recordDamages(sql, sessionId, now, `unreadable:${part.offset}`, {
      ...part,
      damages: [lost(part)],
      isEndDamaged: true,
    });
  recordSubagents(sql, session, now, { prices: {}, isOver: true });
  if (isTurnOpen(sql, sessionId)) recordTurnEnd(sql, sessionId, now, part.turnEnd ?? readTurnEnd(path, limits));
}

function lost({ offset: position }: TranscriptPart): Damage {
  return { kind: "unended", at: null, position, bytes: 0 };
}

/** By its time alone a row is known to come from before a pause. */
function withTimesAlone({ format, ...limits }: ReadLimits): ReadLimits {
  return { ...limits, format: (draft, row, origin) => void (origin.at !== null && format?.(draft, row, origin)) };
}

interface RecordOptions extends MissedToolOptions {
  readonly prices?: Prices;
  /** Its event is being recorded, and comes first. */
  readonly prompt?: TranscriptText | undefined;
}

/** Records texts, usage and missed tool calls. Returns the number of unreported calls. */
export function recordTranscript(
  sql: Sql,
  session: sessions.Session,
  read: TranscriptPart,
  now: number,
  options: RecordOptions = {},
): number {
  if (read.isOverBudget) recordUnreadPart(sql, session, read, now);
  const part = recordInherited(sql, session, read);
  const calls = callsOf(part);
  const isOver = options.isOver === true;
  let missed = 0;
  recordDecisions(sql, session.id, part);
  for (const [turn, isLast] of turnsIn(part)) {
    recordTexts(sql, session, now, turn, options.prompt);
    missed += recordMissedTools(sql, session, now, turn, { ...options, calls, isOver: isOver && isLast });
    recordInterruptions(sql, session.id, turn);
  }
  // By another clock it is not known what came before.
  const { before, base } = part;
  if (before && base && base.at <= now + maxAheadMs) prompts.takeBackMissing(sql, session.id, before.texts, base.at);
  for (const prompt of part.withdrawn) prompts.takeBack(sql, session.id, now, prompt);
  recordPlans(sql, session.id, part);
  for (const compaction of part.compactions) recordCompaction(sql, session, now, compaction);
  // Only the beginning of a file says who began it; a person may go on with it later.
  if (part.isScripts === true && session.transcriptOffset === 0) sessions.update(sql, session.id, { isScripts: true });
  if (part.name !== null) sessions.rename(sql, session.id, part.name);
  for (const note of part.notes) recordAll(sql, session.id, note.at ?? now, noteEntries(note));
  countResponses(sql, session, part, now, options.prices);
  recordDamages(sql, session.id, now, `${part.offset}`, {
    ...part,
    damages: [...skippedPart(session, part, now), ...part.damages],
  });
  return missed;
}

/** Turns of a part: the rows before its first prompt, then each prompt with the rows behind it. */
function turnsIn(part: TranscriptPart): [turn: TranscriptPart, isLast: boolean][] {
  const times = part.texts.flatMap(({ role, at }) => (role === "user" && at !== null ? [at] : []));
  const begins = [-Infinity, ...new Set(times.toSorted((one, other) => one - other))];
  const byTurn = <Row extends { readonly at: number | null }>(rows: readonly Row[]): ((turn: number) => Row[]) => {
    const found = Map.groupBy(rows, ({ at }) => countUntil(begins, at ?? -Infinity, Number) - 1);
    return (turn) => found.get(turn) ?? [];
  };
  const [texts, apiErrors] = [byTurn(part.texts), byTurn(part.apiErrors)];
  const [toolCalls, toolEnds] = [byTurn(part.toolCalls), byTurn(part.toolEnds)];
  const interruptions = byTurn(part.interruptions);
  return begins.map((_from, at) => {
    const own = { texts: texts(at), apiErrors: apiErrors(at), toolCalls: toolCalls(at), toolEnds: toolEnds(at) };
    return [{ ...part, ...own, interruptions: interruptions(at) }, at === begins.length - 1];
  });
}

/** Entries that were recorded before the time was over stay. */
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

/** The part's text is not stored: the client's transcript keeps it. */
export function recordUnreadPart(
  sql: Sql,
  { id, transcriptOffset }: Pick<sessions.Session, "id" | "transcriptOffset">,
  { offset }: Pick<TranscriptPart, "offset">,
  now: number,
): void {
  const text = `bytes ${transcriptOffset} to ${offset}`;
  journal.append(sql, id, now, `unread:transcript:${offset}`, { kind: "unread", of: "transcript", text });
}

/** Runs before the hook's event is stored: the transcript describes what came before. */
function recordTexts(sql: Sql, session: Session, now: number, part: TranscriptPart, current?: TranscriptText): void {
  const { id: sessionId } = session;
  for (const text of part.texts) {
    if (text.role === "assistant") recordAssistant(sql, sessionId, text.at ?? now, text.text);
    else if (text !== current && isOfSession(session, text, now)) recordPrompt(sql, sessionId, now, text);
  }
  for (const { uuid, text, at, limit } of part.apiErrors)
    journal.append(sql, sessionId, at ?? now, `failure:${idOf(uuid)}`, failure(text, limit));
}

/** Stores a text from hook and transcript once per turn. */
export function recordAssistant(sql: Sql, sessionId: string, at: number, text: string): void {
  const keyedEntry = assistant(text);
  if (!keyedEntry) return;
  journal.append(sql, sessionId, at, `${keyedEntry.key}:${journal.newestPromptSeq(sql, sessionId)}`, keyedEntry.entry);
}

/** No client has an event for it. */
function recordInterruptions(sql: Sql, sessionId: string, { interruptions }: TranscriptPart): void {
  if (interruptions.length === 0) return;
  const { at: since = 0 } = journal.newestPrompt(sql, sessionId) ?? {};
  for (const { at } of interruptions)
    if (at !== null && at >= since && isTurnOpen(sql, sessionId))
      journal.append(sql, sessionId, at, `interrupted:${at}`, { kind: "interrupted" });
}

/** The call that asked may stand in the transcript under another id than in the journal. */
function recordDecisions(sql: Sql, sessionId: string, { decisions }: TranscriptPart): void {
  for (const { at, isRefused } of decisions) {
    const { asks = null, calls = [] } = life.read(sql, sessionId) ?? {};
    if (at === null || asks?.for !== "permission" || at < asks.at) continue;
    const call = isRefused ? calls.find(({ id }) => id === asks.call) : undefined;
    if (call === undefined) journal.append(sql, sessionId, at, `answered:${at}`, { kind: "answered" });
    else {
      const { id, name, input } = call;
      journal.append(sql, sessionId, at, `end:${id}`, { kind: "tool_error", id, name, input, text: refusedText });
      sessions.update(sql, sessionId, { toolCalls: 1, toolErrors: 1 });
    }
  }
}

/** Its chat has what it dropped with the next event that can carry that. */
function recordCompaction(sql: Sql, session: Session, now: number, { at, summary }: TranscriptCompaction): void {
  if (adapterOf(session.client)?.compaction !== undefined || at === null || at < session.startedAt) return;
  const key = `compacted:${at}`;
  for (const { entry } of entriesOf("PostCompact", { session_id: session.id, compact_summary: summary ?? "" }))
    if (journal.append(sql, session.id, at, key, entry)) news.addCompaction(sql, now, session, { key, entry });
}

/** Enough to find the words before a prompt among those after it. */
const maxWordsSincePlan = 50;

/** A plan is mostly read with the end of its turn, and so before it is approved. */
function recordPlans(sql: Sql, sessionId: string, { plans }: TranscriptPart): void {
  for (const { text, at, uuid } of plans) {
    if (at === null) continue;
    const plan = text ?? headedWordsBefore(sql, sessionId, at);
    if (plan === null) continue;
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

/** A command of the client is no prompt. */
function isOfSession(session: Session, { at, startsNoTurn }: TranscriptText, now: number): boolean {
  if (startsNoTurn === "local") return false;
  return sessions.hasHistory(session) || (at ?? now) >= session.startedAt - reportedMs;
}

export function rowOfPrompt({ texts }: TranscriptPart, prompt: string, now: number): TranscriptText | undefined {
  const isCurrent = ({ role, text, at }: TranscriptText): boolean =>
    role === "user" && now - (at ?? now) <= reportedMs && prompts.isSame(text, prompt.trim());
  return texts.findLast(isCurrent);
}

/** Limits of the next reading of a session's own transcript. */
export function readLimitsOf(sql: Sql, path: string, session: Session): ReadLimits {
  const { client } = session;
  const limits = { ...pauseReadLimits(sql, path, session), ...firstReadLimit(session) };
  return { ...limits, ...foreignRows(sql, session), format: transcriptFormat(client) };
}

/**
 * Rows of other windows since the session began; those from before belong to all of them. A row
 * that names no prompt may be of each window that is in a turn then: whose it is, is not known.
 */
export function foreignRows(sql: Sql, session: Session): Pick<ReadLimits, "isForeign"> {
  const others = clients.otherWindows(sql, session);
  const isForeign: ReadLimits["isForeign"] = ({ at, id, text }) => {
    if (at === null || at < session.startedAt) return false;
    if (id !== undefined) return others.some((other) => journal.countKeys(sql, other, `prompt:${id}:`) > 0);
    if (text === undefined) return others.some((other) => isInTurnAt(sql, other, at));
    const has = (window: string): boolean => prompts.hasPrompt(sql, window, { text, at });
    return others.some(has) && !has(session.id);
  };
  return others.length === 0 ? {} : { isForeign };
}

function isInTurnAt(sql: Sql, id: string, at: number): boolean {
  const { ending = null } = sessions.get(sql, id) ?? {};
  const bound = journal.newestTurns(sql, id).findLast((one) => one.at <= at);
  return bound?.kind === "prompt" && (ending === null || ending.at > at);
}

/** In bytes: the first reading takes only the end of what came before SHIM. */
const maxFirstBytes = 1_048_576;

/** @param session null: it has no row yet */
export function firstReadLimit(session: Pick<Session, "origin" | "transcriptOffset"> | null): { maxBytes?: number } {
  const isFirst = session === null || (session.transcriptOffset === 0 && session.origin !== "startup");
  // The prompts of a fork are counted over all that it has copied.
  return isFirst && session?.origin !== "fork" ? { maxBytes: maxFirstBytes } : {};
}

function skippedPart(session: Session, { skippedBytes: bytes }: TranscriptPart, now: number): Damage[] {
  const { transcriptOffset: position } = session;
  const isStart = position === 0;
  if (bytes === 0 || (isStart && !sessions.hasHistory(session))) return [];
  return [{ kind: "headless", at: isStart ? null : now, position, bytes }];
}

/** Its event may have come, come later, or never come: hooks fail open, and may be off. */
export function recordPrompt(sql: Sql, sessionId: string, now: number, said: TranscriptText): void {
  const { text, uuid, startsNoTurn, from } = said;
  // By a clock that was set since, or without a time, it is known by its text alone.
  const isTimed = said.at !== null && said.at <= now + maxAheadMs;
  const [at, typedAt] = isTimed ? [said.at ?? now, said.waitedSince] : [now, 0];
  const row = startsNoTurn === "waits" ? prompts.queuedRow(idOf(uuid)) : idOf(uuid);
  const input = { session_id: sessionId, prompt: text };
  const isAtWork = isInTurn(life.read(sql, sessionId)) === true;
  for (const { key, entry } of entriesOf("UserPromptSubmit", input, () => `${prompts.rowTurn}${row}`))
    // A command of the user ends no turn in which the model works.
    if (entry.kind === "turn_end" && isAtWork) continue;
    else if (entry.kind !== "prompt") journal.append(sql, sessionId, at, key, entry);
    else if (prompts.record(sql, sessionId, at, { key, entry: { ...entry, row, ...(from ? { from } : {}) } }, typedAt))
      sessions.update(sql, sessionId, { title: prompts.titleOf(entry.text) });
}

export function isTurnOpen(sql: Sql, sessionId: string): boolean {
  return isEndUnseen(life.read(sql, sessionId));
}

/** Holds the last line of nearly every turn. */
const tailBytes = 65_536;

/** A timer may have read the line already, so the end of the file is read again. */
export function readTurnEnd(path: string, limits: ReadLimits): TranscriptTurnEnd | null {
  return readAppended(path, Math.max(0, unreadBytes(path, 0) - tailBytes), { ...limits, isAlone: true }).turnEnd;
}

/**
 * Stores the end of a turn whose event never came. Only for a moment in which that turn is
 * surely over: before the event itself, it would take that event's place.
 */
export function recordTurnEnd(sql: Sql, sessionId: string, now: number, turnEnd: TranscriptTurnEnd | null): void {
  const prompt = turnEnd && journal.newestPrompt(sql, sessionId);
  if (!prompt || turnEnd.at === null || turnEnd.at < prompt.at || turnEnd.at > now) return;
  const last = journal.latest(sql, sessionId, [...turnBounds, ...callKinds]);
  // Words before a call may stand in the transcript without it.
  if (!isTurnOpen(sql, sessionId) || (last && isOwnCall(last.entry) && last.at > turnEnd.at)) return;
  // Stop has the text without the blanks around it.
  const input = { session_id: sessionId, last_assistant_message: turnEnd.text.trim() };
  for (const { key, entry } of entriesOf("Stop", input, () => turnOf(prompt)))
    journal.append(sql, sessionId, turnEnd.at, key, entry);
}

/** Not a sub-agent's, which may run on after the turn. */
function isOwnCall(entry: JournalEntry): boolean {
  return "name" in entry && !isBySubagent(entry.name);
}

/** The client's id of the turn stands in the key of its prompt. */
function turnOf({ seq, key }: { readonly seq: number; readonly key: string }): string {
  const turn = key.slice("prompt:".length, key.lastIndexOf(":"));
  return turn.startsWith("after:") ? `after:${seq}` : turn;
}
