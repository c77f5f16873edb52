import { deedOf } from "../../clients/adapter/tools.ts";
import type { HookEvent, HookInput } from "../../contract/hooks.ts";
import type { JournalEntry, JournalKind } from "../../contract/journal.ts";
import { callKinds, turnBounds, turnEnds } from "../../contract/turn-kinds.ts";
import type { EffectNote } from "../../contract/work-state.ts";
import { interpret } from "../../platform/time-budget.ts";
import { redactAndClip } from "../../redaction/redact.ts";
import type { Sql } from "../../shared/sql.ts";
import { stampOf } from "../../snapshots/file-state.ts";
import { editedPath } from "../../clients/adapter/tools.ts";
import { stored } from "../../contract/limits.ts";
import { recordAssistant, recordPrompt } from "../../machine/sessions/transcripts/record-transcript.ts";
import { isCall, asShownBy } from "../../machine/sessions/call-notes.ts";
import { digest, pathOf, type KeyedEntry } from "../../machine/sessions/entries.ts";
import * as life from "../../machine/sessions/life/row.ts";
import { describeInput, entriesOf, storedWords } from "../../machine/sessions/hook-entries.ts";
import * as journal from "../../machine/sessions/journal.ts";
import * as news from "../../machine/sessions/news.ts";
import * as prompts from "../../machine/sessions/prompts.ts";
import type { SessionChange } from "../../machine/sessions/sessions.ts";
import type { EditVerdict } from "../../machine/team/file-guard.ts";
import { takeImage } from "../../machine/files/images.ts";
import type { IncomingEvent } from "./read-event.ts";
import type { Concern, Draft, Recording } from "./concern.ts";
import { ownRow } from "./event-transcript.ts";

/** A client without a transcript sends the model's words with the event that follows them. */
const carriesWords: ReadonlySet<HookEvent> = new Set(["PreToolUse", "Stop"]);

/** Writes the journal's entries of an event, each once. */
export const entries: Concern = {
  name: "journal",
  isForLate: true,
  inTransaction: recordEntries,
};

function recordEntries(recording: Recording, draft: Draft): void {
  const { sql, machine, session } = recording;
  const { id } = session;
  const { event, input, isLate = false } = asRecorded(recording, draft.verdict);
  const now = isLate ? machine.now() : timeInOrder(sql, id, machine.now());
  const read = entriesOf(event, input, () => turnId(sql, { event, input }, id), draft.call);
  const found = event === "UserPromptSubmit" ? withWords(sql, id, input, read) : read;
  const { last_assistant_message: words = "" } = carriesWords.has(event) ? input : {};
  draft.isNew = found.length === 0;
  for (const { key, entry } of found) {
    // Runs before the end of its turn is stored, and not for a repeat: a later turn may have begun.
    if (words !== "" && !journal.has(sql, id, key)) recordAssistant(sql, id, now, words);
    const known = entry.kind === "asks" ? withCall(recording, entry) : withStamp(entry, isLate);
    const noted = withEffects(recording, known, draft);
    // A call that is reported after its end no longer runs.
    const end = entry.kind === "tool_start" ? `end:${entry.id}` : undefined;
    const isFirst =
      noted.kind === "prompt"
        ? prompts.record(sql, id, now, { key, entry: withOrigin(sql, id, now, noted) })
        : journal.append(sql, id, now, key, noted, end);
    if (!isFirst) continue;
    if (!isLate) noteImage(recording, entry);
    if (entry.kind === "compacted") news.addCompaction(sql, now, session, { key, entry });
    draft.isNew = true;
    draft.changes.push(sessionChange(entry));
  }
}

/** Parts that the transcript has of the prompt beside its event. */
export const promptRow: Concern = {
  name: "row of the prompt",
  on: ["UserPromptSubmit"],
  isForLate: true,
  inTransaction(recording) {
    const row = ownRow(recording);
    if (row) recordPrompt(recording.sql, recording.session.id, recording.machine.now(), row);
  },
};

/** The event with its redacted text, of which nothing is interpreted. */
export const unreadEntry: Concern = {
  name: "unread entry",
  isForLate: true,
  inTransaction({ sql, machine, incoming: { event, input }, session }) {
    const redacted = interpret(() => redactAndClip(JSON.stringify(input), stored.unread));
    const text = redacted ?? "[its redaction took too long]";
    const key = `unread:${event}:${digest(text)}`;
    journal.append(sql, session.id, machine.now(), key, { kind: "unread", of: event, text });
  },
};

/** A file that the call names, before it runs and when it has ended. */
function noteImage({ sql, machine, session, incoming: { input } }: Recording, entry: JournalEntry): void {
  const side = { tool_start: "before", tool_end: "after" }[entry.kind as string] as "before" | "after" | undefined;
  const path = side === undefined || !machine.config.snapshots.isEnabled ? null : editedPath(input);
  if (path === null || side === undefined || !("id" in entry) || pathOf(path) !== path) return;
  takeImage(sql, machine.now(), machine.config.snapshots, { session: session.id, call: entry.id, side, path });
}

/** After a clock was set back an event comes behind the turn before it all the same. */
function timeInOrder(sql: Sql, id: string, now: number): number {
  const [last] = journal.newestTurns(sql, id, 1);
  return last && now < last.at ? last.at + 1 : now;
}

/**
 * The adapter reads a usage limit from the record of a failure. A refused call never runs, and the
 * client reports no end of it. The exit code of a command may stand in the transcript alone.
 */
function asRecorded({ incoming, part }: Recording, verdict: EditVerdict): IncomingEvent {
  const { event, input } = incoming;
  if (event === "StopFailure")
    return { ...incoming, input: { ...input, limit: incoming.client.limitIn?.(input) ?? undefined } };
  const end = event === "PostToolUse" && part?.toolEnds.find(({ toolUseId }) => toolUseId === input.tool_use_id);
  const error = verdict.kind === "refused" ? verdict.reason : end ? end.error : null;
  return error === null ? incoming : { ...incoming, event: "PostToolUseFailure", input: { ...input, error } };
}

/** Older clients give no prompt id, so the journal position identifies the turn. */
function turnId(sql: Sql, { event, input }: Pick<IncomingEvent, "event" | "input">, id: string): string {
  const seqOfNewest = (...kinds: JournalKind[]): number => journal.newest(sql, id, kinds, 1)[0]?.seq ?? 0;
  if (event === "PreCompact") return `${input.prompt_id ?? "none"}:${seqOfNewest("compacted")}`;
  if (event === "Notification" || event === "PermissionRequest")
    return `${seqOfNewest("start", ...turnBounds, ...callKinds)}`;
  if (event === "PostCompact") return `${input.prompt_id ?? "none"}:${seqOfNewest("compacting")}`;
  if (input.prompt_id !== undefined) return input.prompt_id;
  return `after:${event === "UserPromptSubmit" ? seqOfNewest(...turnEnds) : journal.newestPromptSeq(sql, id)}`;
}

/** Few clients say which call waits for leave: the one of this input, else the only open one. */
function withCall({ sql, session, incoming: { input } }: Recording, asks: Asks): Asks {
  if (asks.for !== "permission" || asks.call !== undefined) return asks;
  const { asks: asked = null, calls = [] } = life.read(sql, session.id) ?? {};
  // Two events report one dialog: the second one of Qwen Code does not name it.
  if (asked?.for === "dialog" && input.tool_name === undefined) return { ...asks, for: "dialog" };
  const open = calls.filter(({ isLost }) => !isLost);
  const shown = input.tool_name === undefined ? null : describeInput(input.tool_input);
  const asking = shown === null ? open : open.filter((call) => call.input === shown);
  const [call] = asking;
  if (call === undefined || asking.length > 1) return asks;
  return { ...asks, call: call.id, ...(deedOf(call.name) === "asks" ? { for: "dialog" } : {}) };
}

/** Words of the user that look like a notice of the client are a prompt all the same. */
function withWords(sql: Sql, session: string, { prompt }: HookInput, read: readonly KeyedEntry[]) {
  if (read.some(({ entry }) => entry.kind === "prompt")) return read;
  const words = news.waitingWords(sql, session).find(({ text }) => text === prompt);
  if (words === undefined) return read;
  return [{ key: `prompt:${words.key}`, entry: { kind: "prompt", text: storedWords(words.text) } as const }];
}

/** Adds where the words of a prompt came from, if that was not the terminal. */
function withOrigin(sql: Sql, session: string, now: number, entry: Prompt): Prompt {
  const from = news.takeAsPrompt(sql, now, session, entry.text);
  return from === null ? entry : { ...entry, from };
}

type Prompt = Extract<JournalEntry, { readonly kind: "prompt" }>;
type Asks = Extract<JournalEntry, { readonly kind: "asks" }>;

/** Adds size and time, so that another's later edit shows before any hash. */
function withStamp(entry: JournalEntry, isLate: boolean): JournalEntry {
  if (isLate || entry.kind !== "tool_end" || !entry.path || entry.action === "read") return entry;
  const stamp = stampOf(entry.path);
  return stamp ? { ...entry, stamp } : entry;
}

/** Adds where its commands that cannot be undone run, and the commit that they push. */
function withEffects(recording: Recording, entry: JournalEntry, { verdict, call }: Draft): JournalEntry {
  if (!isCall(entry)) return entry;
  const isRefused = entry.kind === "tool_error" && verdict.kind === "refused";
  const shown = isRefused ? { ...entry, isRefused } : asShownBy(entry, recording.incoming.client);
  const { effects = [] } = call ?? {};
  if (effects.length === 0) return shown;
  const noted = { ...shown, effects };
  if (noted.kind === "tool_start") return verdict.kind === "asked" ? { ...noted, asked: true } : noted;
  return !isRefused && isKnownAtStart(recording, entry.id, noted.effects) ? shown : noted;
}

/** Whether the entry of the start says as much: a call may commit before it pushes. */
function isKnownAtStart({ sql, session, incoming }: Recording, call: string, effects: readonly EffectNote[] = []) {
  const start = journal.find(sql, session.id, `start:${call}`)?.entry;
  const begun = start?.kind === "tool_start" ? start.effects : undefined;
  if (begun === undefined) return false;
  // One that leaves the branch says nothing of it any more.
  const isElsewhere = effects.some(({ branch }, index) => branch !== begun[index]?.branch);
  return incoming.isLate === true || isElsewhere || JSON.stringify(begun) === JSON.stringify(effects);
}

function sessionChange(entry: JournalEntry): SessionChange {
  if (entry.kind === "tool_end") return { toolCalls: 1 };
  if (entry.kind === "tool_error") return { toolCalls: 1, toolErrors: 1 };
  return entry.kind === "prompt" ? { title: prompts.titleOf(entry.text) } : {};
}
