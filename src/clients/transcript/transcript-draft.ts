import type { UsageLimit } from "../../contract/config.ts";
import type { GitPosition } from "../../contract/work-state.ts";
import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { label } from "../../redaction/redact.ts";
import type { TokenCounts } from "./token-counts.ts";
import { withdrawnBranches, type Branch } from "./branches.ts";
import type { ByteDamage } from "./transcript-rows.ts";

/** Pure. The format is the client's own and changes; what is unknown is skipped. */

export interface LineOrigin {
  /** Epoch ms; null: the line has no time. */
  readonly at: number | null;
  /** Line's own id, else `@` and its position in the file. */
  readonly uuid: string;
}

/**
 * unlinked: the row names one that is nowhere in the file; headless: the row with which the
 * client's files begin is not there; unended: a compressed file, or a document, is cut.
 */
export type DamageKind = ByteDamage | "unlinked" | "headless" | "unended";

/** A part of a transcript that could not be read, or that is not there though a row names it. */
export interface Damage {
  readonly kind: DamageKind;
  /** Time of the newest row before it; null: none has a time. */
  readonly at: number | null;
  /** In bytes, from the start of the file. */
  readonly position: number;
  /** 0: the rows are missing. */
  readonly bytes: number;
}

export interface TranscriptText extends LineOrigin {
  /** `user`: the user's own words, without what a client adds to them. */
  readonly role: "user" | "assistant";
  readonly text: string;
  /**
   * `queued`: typed while the model worked; `waits`: not given to the model yet; `local`: a
   * command that the client carried out.
   */
  readonly startsNoTurn?: "queued" | "waits" | "local";
  /** Epoch ms at which it was typed, if it stood in the queue then; 0: not known. */
  readonly waitedSince?: number;
  /** The chat itself has set it for a time. */
  readonly from?: "schedule";
}

export interface TranscriptToolCall extends LineOrigin {
  readonly id: string;
  readonly name: string;
  readonly input: unknown;
  /** Hooks report it under another id, or not at all. */
  readonly isUnhooked?: true;
}

export interface TranscriptToolEnd {
  readonly toolUseId: string;
  readonly error: string | null;
  readonly at: number | null;
  /** Fields of the result: the user's answers, a plan, a new file or task. */
  readonly response?: JsonObject;
  /** {@link TranscriptToolCall.isUnhooked} */
  readonly isUnhooked?: true;
}

/** Rows about the session besides the conversation. */
export type TranscriptNote = { readonly at: number | null } & (
  | { readonly kind: "recap"; readonly text: string }
  | { readonly kind: "named"; readonly name: string }
  /** Id of what ran in the background, with its result where that is known. */
  | { readonly kind: "ended"; readonly id: string; readonly response?: JsonObject }
  /** The last words of a sub-agent; null: the client names it by no id. */
  | { readonly kind: "answer"; readonly id: string | null; readonly text: string }
  /** Text in the user's place, by which it reports the end of a background task. */
  | { readonly kind: "notice"; readonly text: string }
);

export interface TranscriptCompaction {
  /** Some clients encrypt it, or write none. */
  readonly summary: string | null;
  readonly trigger: string;
  readonly at: number | null;
}

export interface LimitWindow {
  /** Share in use, 0 to 1. */
  readonly share: number;
  /** Epoch ms; null: not known. */
  readonly resetsAt: number | null;
}

/** A transcript continues another file up to one of its bytes. */
export interface TranscriptBase {
  /** Pattern of that file's path, from the folder of the transcript. */
  readonly files: string;
  /** 0: it continues none of that. */
  readonly bytes: number;
  /** Time of the row that says so, in epoch ms. */
  readonly at: number;
}

/** Last words of a turn that the model itself ended. */
export interface TranscriptTurnEnd {
  readonly text: string;
  readonly at: number | null;
}

export interface Usage extends TokenCounts {
  readonly messageId: string;
  readonly model: string | null;
  readonly at: number | null;
}

export interface TranscriptContent {
  readonly texts: readonly TranscriptText[];
  readonly toolCalls: readonly TranscriptToolCall[];
  readonly toolEnds: readonly TranscriptToolEnd[];
  /** Answers of the client instead of the model: a limit reached, a prompt too long. */
  readonly apiErrors: readonly ({ readonly text: string; readonly limit: UsageLimit | null } & LineOrigin)[];
  readonly compactions: readonly TranscriptCompaction[];
  readonly notes: readonly TranscriptNote[];
  /** The user stopped the model. */
  readonly interruptions: readonly Pick<LineOrigin, "at">[];
  /** Answers of the user at the client's dialogs for a permission. */
  readonly decisions: readonly (Pick<LineOrigin, "at"> & { readonly isRefused: boolean })[];
  /** Plans that the user approved by a prompt; null: it stands in an earlier part. */
  readonly plans: readonly ({ readonly text: string | null } & LineOrigin)[];
  /** Null if no turn ended, or the model has answered again since. */
  readonly turnEnd: TranscriptTurnEnd | null;
  /** Tries and answers of the main chat, in order; `at` is null for a line without a time. */
  readonly outcomes: readonly { readonly at: number | null; readonly isFailed: boolean }[];
  /** One per message id: the client repeats a response, and the last line is complete. */
  readonly usage: readonly Usage[];
  readonly subagentUsage: readonly Usage[];
  /** Null after a compaction until the next response. */
  readonly contextUsage: Usage | null;
  readonly compactBoundary: { readonly at: number | null } | null;
  /** Tokens that the context holds, as the client says; null: it does not. */
  readonly contextWindow: number | null;
  /** Windows of usage limits, as the newest line that has them says. */
  readonly limitWindows: readonly LimitWindow[];
  /** Model of the newest line that names one by itself. */
  readonly model: string | null;
  /** Name that its user gave the session in the client; null: none in these lines. */
  readonly name: string | null;
  /** Version in the newest line that has one. */
  readonly clientVersion: string | null;
  /** Whether a script has started its client, by the rows that say so; null: none does. */
  readonly isScripts: boolean | null;
  /** The file that this one continues; null: it names none. */
  readonly base: TranscriptBase | null;
  /** Id of the session from which the newest row was copied that names one; null: none does. */
  readonly forkedFrom: string | null;
  /** Where git was: at the start with a commit, or at the end without one; null: not known. */
  readonly git: GitPosition | null;
  /** Parts that could not be read, in their order, then rows that are missing. */
  readonly damages: readonly Damage[];
  /** The last part of the file could not be read. */
  readonly isEndDamaged: boolean;
  /** A prompt was followed by another one after the same row, and both went on. */
  readonly isBranched: boolean;
  /** Prompts that the user took back. `texts` has neither them nor the texts that followed them. */
  readonly withdrawn: readonly TranscriptText[];
  /** Rows (`uuid`) that name one before the part: what they take back may stand there, too. */
  readonly unplaced: readonly string[];
}

type Growing<T> = {
  -readonly [Key in keyof T]: T[Key] extends readonly (infer One)[] ? One[] : T[Key];
};

type DraftText = TranscriptText & { readonly branch: Branch | null };

/** Content that grows line by line. */
export interface TranscriptDraft extends Growing<
  Omit<TranscriptContent, "usage" | "subagentUsage" | "texts" | "withdrawn">
> {
  texts: DraftText[];
  usage: Map<string, Usage>;
  subagentUsage: Map<string, Usage>;
  calls: Map<string, TranscriptToolCall>;
  ended: Set<string>;
  /** Prompts that wait until the model has time for them, with the user's words in them. */
  queue: ({ readonly text: string; readonly words: string } & LineOrigin)[];
  /** Branch of the newest row. */
  branch: Branch | null;
  /** Each row follows a prompt that was read. */
  isPlaced: boolean;
  /** Whether a row is of another window of the session. */
  readonly isForeign: (row: WindowMark) => boolean;
}

/** A row says of its window the prompt that it holds or names, else its time alone. */
export interface WindowMark extends Pick<LineOrigin, "at"> {
  /** The client's id of the prompt. */
  readonly id?: string;
  /** Words of the prompt, where the client gives it no id. */
  readonly text?: string;
}

/** State of one client's reader from row to row, beside a draft. */
export function rowState<State>(begin: () => State): (draft: TranscriptDraft) => State {
  const states = new WeakMap<TranscriptDraft, State>();
  return (draft) => {
    const state = states.get(draft) ?? begin();
    states.set(draft, state);
    return state;
  };
}

/** Adds what one line of a client's transcript says. */
export type LineFormat = (draft: TranscriptDraft, line: JsonObject, origin: LineOrigin) => void;

export function emptyDraft(isForeign: TranscriptDraft["isForeign"] = () => false): TranscriptDraft {
  return {
    texts: [],
    toolCalls: [],
    toolEnds: [],
    apiErrors: [],
    compactions: [],
    notes: [],
    interruptions: [],
    decisions: [],
    plans: [],
    turnEnd: null,
    outcomes: [],
    usage: new Map(),
    subagentUsage: new Map(),
    contextUsage: null,
    compactBoundary: null,
    contextWindow: null,
    limitWindows: [],
    model: null,
    name: null,
    isScripts: null,
    base: null,
    forkedFrom: null,
    clientVersion: null,
    git: null,
    damages: [],
    isEndDamaged: false,
    isBranched: false,
    unplaced: [],
    calls: new Map(),
    ended: new Set(),
    queue: [],
    branch: null,
    isPlaced: true,
    isForeign,
  };
}

/** @param percent name of the share in use; `resets_at` is in epoch seconds */
export function limitWindows(limits: JsonObject | null, names: readonly string[], percent: string): LimitWindow[] {
  return names.flatMap((name) => {
    const window = objectAt(limits, name);
    const [used, seconds] = [numberAt(window, percent), numberAt(window, "resets_at")];
    const resetsAt = seconds === null ? null : seconds * 1_000;
    return used === null ? [] : [{ share: Math.min(1, used / 100), resetsAt }];
  });
}

/** An answer of the model in the main chat. */
export function addUsage(draft: TranscriptDraft, usage: Usage): void {
  draft.outcomes.push({ at: usage.at, isFailed: false });
  // Deleted first, so that the map's order is the order of the last lines.
  draft.usage.delete(usage.messageId);
  draft.usage.set(usage.messageId, usage);
  draft.contextUsage = usage;
}

/** Names of a client's counts of tokens; several for the output are summed up. */
interface CountFields {
  readonly input: string;
  readonly cached: string;
  readonly written?: string;
  readonly output: readonly string[];
}

type Answer = Pick<Usage, "messageId" | "model" | "at">;

/** The same for clients that count what was cached as input too. */
export function addCounts(
  draft: TranscriptDraft,
  counts: JsonObject | null,
  fields: CountFields,
  answer: Answer,
): void {
  if (counts) addUsage(draft, usageOf(counts, fields, answer));
}

/** Counts of a client that counts what was cached as input too. */
export function usageOf(counts: JsonObject, fields: CountFields, answer: Answer): Usage {
  const count = (name = ""): number => numberAt(counts, name) ?? 0;
  return {
    ...answer,
    input: Math.max(0, count(fields.input) - count(fields.cached)),
    cacheRead: count(fields.cached),
    cacheWrite: count(fields.written),
    output: fields.output.reduce((sum, name) => sum + count(name), 0),
  };
}

export function addText(
  draft: TranscriptDraft,
  role: TranscriptText["role"],
  text: string,
  origin: LineOrigin & Pick<TranscriptText, "from">,
): void {
  if (text.trim() !== "") draft.texts.push({ role, text, branch: draft.branch, ...origin });
}

/** Text of a message, or the texts of its blocks of a type; without one, of all its blocks. */
export function textOf(holder: JsonObject | null, key = "content", type?: string): string {
  const texts = blocksOf(holder, type, key).map((block) => textAt(block, "text") ?? "");
  return textAt(holder, key) ?? texts.join("\n");
}

export function blocksOf(holder: JsonObject | null, type?: string, key = "content"): JsonObject[] {
  const blocks = listAt(holder, key)
    .map(asObject)
    .filter((block) => block !== null);
  return type === undefined ? blocks : blocks.filter((block) => block["type"] === type);
}

type Unchecked<T, Key extends keyof T> = Omit<T, Key> & { readonly [One in Key]: T[One] | null };

/** A client may write the same call twice; one without an id or a name is none. */
export function addCall(draft: TranscriptDraft, call: Unchecked<TranscriptToolCall, "id" | "name">): void {
  const { id, name } = call;
  if (id === null || name === null || draft.calls.has(id)) return;
  const known = { ...call, id, name: label(name) };
  draft.calls.set(id, known);
  draft.toolCalls.push(known);
}

/** The first end of a call counts. */
export function addEnd(draft: TranscriptDraft, end: Unchecked<TranscriptToolEnd, "toolUseId">): void {
  const { toolUseId } = end;
  if (toolUseId === null || draft.ended.has(toolUseId)) return;
  draft.ended.add(toolUseId);
  draft.toolEnds.push({ ...end, toolUseId });
}

export function addFailure(
  draft: TranscriptDraft,
  text: string,
  origin: LineOrigin,
  limit: UsageLimit | null = null,
): void {
  draft.apiErrors.push({ text, limit, ...origin });
  draft.outcomes.push({ at: origin.at, isFailed: true });
}

/** The context's content is replaced. */
export function addCompaction(draft: TranscriptDraft, compaction: TranscriptCompaction): void {
  draft.contextUsage = null;
  draft.compactBoundary = { at: compaction.at };
  draft.compactions.push(compaction);
}

/** Readers of rows by the row's kind; other kinds say nothing of the work. */
export type LineFormats = Readonly<Record<string, LineFormat>>;

/** A row's kind may be the name of what each object has. */
export function formatOf(formats: LineFormats, kind: string | null): LineFormat | undefined {
  return kind !== null && Object.hasOwn(formats, kind) ? formats[kind] : undefined;
}

/** These clients write no end of a turn: its last answer has words, and calls no tool. */
export function endWithout(calls: readonly unknown[], text: string, { at }: LineOrigin): TranscriptTurnEnd | null {
  return calls.length === 0 && text.trim() !== "" ? { text, at } : null;
}

/** Without what a reader keeps only from line to line. */
export function finished(draft: TranscriptDraft): TranscriptContent {
  const { calls: _, ended: _ended, queue, branch: _branch, isPlaced: _placed, isForeign: _foreign, ...content } = draft;
  const isWithdrawn = withdrawnBranches();
  const judged = draft.texts.map(({ branch, ...text }) => ({ text, isGone: isWithdrawn(branch) }));
  const texts = judged.flatMap(({ text, isGone }) => (isGone ? [] : [text]));
  return {
    ...content,
    texts: saidOnce([...texts, ...queue.flatMap(waiting)]),
    withdrawn: judged.flatMap(({ text, isGone }) => (isGone && text.role === "user" ? [text] : [])),
    apiErrors: saidOnce(draft.apiErrors),
    usage: [...draft.usage.values()],
    subagentUsage: [...draft.subagentUsage.values()],
  };
}

/** The file ends before the model got it. */
function waiting({ words: text, at, uuid }: TranscriptDraft["queue"][number]): TranscriptText[] {
  return text === "" ? [] : [{ role: "user", text, at, uuid, startsNoTurn: "waits" }];
}

interface Said {
  readonly at: number | null;
  readonly text: string;
  readonly role?: TranscriptText["role"];
}

/** A client's replay, or a copy, writes the same words with the same time again. */
function saidOnce<One extends Said>(all: readonly One[]): One[] {
  const known = new Set<string>();
  return all.filter(({ role = "", at, text }) => {
    const key = `${role} ${at} ${text}`;
    if (at !== null && known.has(key)) return false;
    known.add(key);
    return true;
  });
}
