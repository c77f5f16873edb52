import { claudeCode } from "./claude-code.ts";
import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { wordAt } from "../../redaction/redact.ts";
import { userlessEntryPoint } from "../adapter/attendance.ts";
import { commandIn, refusalWords, userWords, withAttachments } from "../adapter/harness-text.ts";
import {
  addCall,
  addCompaction,
  addEnd,
  addFailure,
  addUsage,
  blocksOf,
  rowState,
  textOf,
  type LineFormat,
  type LineOrigin,
  type TranscriptDraft,
  type TranscriptText,
  type Usage,
} from "../transcript/transcript-draft.ts";
import type { TokenCounts } from "../transcript/token-counts.ts";
import { goOn, isForeignRow, linkOf, startBranch } from "../transcript/linked-rows.ts";

const stateOf = rowState(() => ({
  /** Time at which the prompt was typed that has its row next; 0: not known. */
  submitted: null as number | null,
  /** Words of the unanswered prompt above a row, by the row's id. */
  unanswered: new Map<string, string>(),
  /** Taken from the queue into a running turn. */
  dequeued: new Set<string>(),
}));

/** Rows of Claude Code 2.0.64 to 2.1.328; others say nothing of the work. */
const rows: ReadonlyMap<string, LineFormat> = new Map<string, LineFormat>([
  ["user", readUser],
  ["assistant", readAssistant],
  ["attachment", readAttachment],
  [
    "system/compact_boundary",
    (draft, line, { at }) => {
      const trigger = textAt(objectAt(line, "compactMetadata"), "trigger", 40) ?? "unknown";
      addCompaction(draft, { summary: null, trigger, at });
    },
  ],
  // Versions 2.0.64 to 2.1.42, at least, write no reason with an answer.
  [
    "system/turn_duration",
    (draft, _line, { at }) => {
      const last = draft.texts.at(-1);
      if (last?.role === "assistant") draft.turnEnd ??= { text: last.text, at };
    },
  ],
  ["system/away_summary", (draft, line, { at }) => addNote(draft, "recap", textAt(line, "content"), at)],
  ["custom-title", (draft, line) => void (draft.name = wordAt(line, "customTitle", 200) ?? draft.name)],
  ["pr-link", (draft, line, { at }) => addNote(draft, "named", textAt(line, "prUrl", 300), at)],
  // A failed try that is repeated; the last one is an answer of the client.
  ["system/api_error", (draft, _line, { at }) => void draft.outcomes.push({ at, isFailed: true })],
  // Prompts typed while the model worked.
  [
    "queue-operation/enqueue",
    (draft, line, origin) => {
      const text = queuedText(line);
      draft.queue.push({ text, words: wordsOf(text), ...origin });
      noteEnd(draft, text, origin.at);
    },
  ],
  // Submitted as usual: a row of the user follows.
  ["queue-operation/dequeue", (draft) => void (stateOf(draft).submitted = draft.queue.shift()?.at ?? 0)],
  // Back into the input field.
  ["queue-operation/popAll", (draft) => void (draft.queue = [])],
  ["queue-operation/remove", readJoined],
]);

export function readClaudeLine(draft: TranscriptDraft, line: JsonObject, origin: LineOrigin): void {
  draft.clientVersion = wordAt(line, "version", 40) ?? draft.clientVersion;
  const entryPoint = wordAt(line, "entrypoint", 40);
  if (entryPoint !== null && draft.isScripts !== false) draft.isScripts = userlessEntryPoint.test(entryPoint);
  // A fork copies the rows of another session: under its own id, beside which that one's stays.
  const by = textAt(line, "session_id", 100);
  if (by !== null && by !== line["sessionId"]) draft.forkedFrom = by;
  const branch = wordAt(line, "gitBranch", 200);
  // Without a branch it is "HEAD", without a repository empty.
  if (branch !== null && branch !== "" && branch !== "HEAD") draft.git = { branch, commit: null };
  if (line["isSidechain"] === true) readSidechain(draft, line, origin);
  else readMainLine(draft, line, origin);
}

function readMainLine(draft: TranscriptDraft, line: JsonObject, origin: LineOrigin): void {
  const prompt = textAt(line, "promptId", 100);
  if (isForeignRow(draft, linkOf(line), origin.at, prompt === null ? null : { id: prompt })) return;
  followUnanswered(draft, line);
  const type = textAt(line, "type") ?? "";
  const kind = textAt(line, "subtype") ?? textAt(line, "operation") ?? "";
  (rows.get(type) ?? rows.get(`${type}/${kind}`))?.(draft, line, origin);
}

/** Rows of the client between a prompt and the repeat of its request lead to the prompt. */
function followUnanswered(draft: TranscriptDraft, line: JsonObject): void {
  const [id, parent] = [textAt(line, "uuid", 100), textAt(line, "parentUuid", 100)];
  const { unanswered } = stateOf(draft);
  const words = id === null || parent === null ? undefined : unanswered.get(parent);
  if (id !== null && words !== undefined && (line["type"] === "progress" || line["type"] === "system"))
    unanswered.set(id, words);
}

const interruption = "[Request interrupted by user";

function readUser(draft: TranscriptDraft, line: JsonObject, origin: LineOrigin): void {
  const message = objectAt(line, "message");
  for (const block of listAt(message, "content")) readToolResult(draft, asObject(block), line, origin);
  const text = wordsIn(message).trim();
  noteEnd(draft, text, origin.at);
  if (line["isCompactSummary"] === true) return addSummary(draft, text, origin);
  const isScheduled = line["turnOrigin"] === "scheduled";
  if (!isScheduled && (line["isMeta"] === true || isOfClient(line))) return;
  if (text.startsWith(interruption)) return void draft.interruptions.push({ at: origin.at });
  const words = withAttachments(wordsOf(text), imagesOf(message));
  if (words === "") return;
  const parent = textAt(line, "parentUuid", 100);
  // The client writes a prompt again when it repeats a request that failed.
  const state = stateOf(draft);
  const isAgain = parent !== null && state.unanswered.get(parent) === words;
  state.unanswered.set(origin.uuid, words);
  if (isAgain) return;
  startBranch(draft, parent, origin);
  const how = commandIn(text)?.isLocal === true ? "local" : undefined;
  addPrompt(draft, words, how, origin, state.submitted, isScheduled);
  state.submitted = null;
}

function addNote(draft: TranscriptDraft, kind: "recap" | "named", text: string | null, at: number | null): void {
  if (text === null || text.trim() === "") return;
  draft.notes.push(kind === "recap" ? { kind, text, at } : { kind, name: text, at });
}

/** Ends of background tasks stand in the user's place. */
function noteEnd(draft: TranscriptDraft, text: string, at: number | null): void {
  if (text.startsWith("<task-notification>")) draft.notes.push({ kind: "notice", text, at });
}

function wordsOf(text: string): string {
  return commandIn(text)?.text ?? userWords(text);
}

/** Newer versions name who wrote a message. */
function isOfClient(line: JsonObject): boolean {
  const by = textAt(objectAt(line, "origin"), "kind");
  return by !== null && by !== "human";
}

function addPrompt(
  draft: TranscriptDraft,
  text: string,
  startsNoTurn: TranscriptText["startsNoTurn"],
  origin: LineOrigin,
  waitedSince: number | null = null,
  isScheduled = false,
): void {
  const { branch } = draft;
  const how = { ...(startsNoTurn ? { startsNoTurn } : {}), ...(waitedSince === null ? {} : { waitedSince }) };
  const from = isScheduled ? ({ from: "schedule" } as const) : {};
  if (text !== "") draft.texts.push({ role: "user", text, branch, ...origin, ...how, ...from });
}

/** Its row follows that of the compaction. */
function addSummary(draft: TranscriptDraft, summary: string, { at }: LineOrigin): void {
  const last = draft.compactions.at(-1);
  if (last?.summary === null) draft.compactions[draft.compactions.length - 1] = { ...last, summary };
  else draft.compactions.push({ summary, trigger: "unknown", at });
}

/** The queue's own rows come first, where the client writes those. */
function readAttachment(draft: TranscriptDraft, line: JsonObject, origin: LineOrigin): void {
  const attachment = objectAt(line, "attachment");
  if (attachment?.["type"] !== "queued_command") return;
  const text = wordsIn(attachment, "prompt").trim();
  if ((attachment["commandMode"] ?? "prompt") === "prompt" && !stateOf(draft).dequeued.has(text))
    addPrompt(draft, withAttachments(wordsOf(text), imagesOf(attachment, "prompt")), "queued", origin, 0);
}

/** One that the model got in its turn. Older versions write nothing else of it. */
function readJoined(draft: TranscriptDraft, line: JsonObject, { at, uuid }: LineOrigin): void {
  const text = queuedText(line);
  const index = text === "" ? 0 : draft.queue.findIndex((one) => one.text === text);
  const [taken] = index < 0 ? [] : draft.queue.splice(index, 1);
  if (!taken) return;
  stateOf(draft).dequeued.add(taken.text);
  addPrompt(draft, taken.words, "queued", { at: taken.at ?? at, uuid });
}

function queuedText(line: JsonObject): string {
  return (textAt(line, "content") ?? "").trim();
}

function readToolResult(draft: TranscriptDraft, result: JsonObject | null, line: JsonObject, { at }: LineOrigin): void {
  if (result?.["type"] !== "tool_result") return;
  const toolUseId = textAt(result, "tool_use_id", 200);
  if (toolUseId === null) return;
  const error = result["is_error"] === true ? wordsIn(result) : null;
  addEnd(draft, { toolUseId, error, at, ...responseOf(line["toolUseResult"]) });
  addPrompt(draft, refusalWords(error ?? ""), "queued", { at, uuid: toolUseId });
}

/** The whole result may be megabytes. */
function responseOf(given: unknown): { readonly response?: JsonObject } {
  const result = asObject(given);
  if (result === null) return typeof given === "string" ? { response: { output: endOf(given) } } : {};
  const { type, answers, plan, filePath, task, stdout, stderr, backgroundTaskId, agentId, isAsync } = result;
  const { status, gitOperation } = result;
  const content = agentId === undefined ? undefined : result["content"];
  const printed = { stdout: endOf(stdout), stderr: endOf(stderr), content };
  const known = { type, answers, plan, filePath, task, backgroundTaskId, agentId, isAsync, status, gitOperation };
  return { response: omitUndefined({ ...known, ...printed }) };
}

const maxPrintedChars = 100_000;

/** The last lines alone are kept of it, so a secret that is cut here is dropped later. */
function endOf(printed: unknown): string | undefined {
  return typeof printed === "string" && printed !== "" ? printed.slice(-maxPrintedChars) : undefined;
}

function readAssistant(draft: TranscriptDraft, line: JsonObject, origin: LineOrigin): void {
  const message = objectAt(line, "message");
  const text = wordsIn(message);
  if (line["isApiErrorMessage"] === true) return addFailure(draft, text, origin, claudeCode.limitIn?.(line));
  if (message?.["model"] === "<synthetic>") return;
  goOn(draft);
  if (text !== "") draft.texts.push({ role: "assistant", text, branch: draft.branch, ...origin });
  draft.turnEnd = message?.["stop_reason"] === "end_turn" ? { text, at: origin.at } : null;
  for (const block of listAt(message, "content")) readToolUse(draft, asObject(block), origin);
  const usage = usageIn(line, message, origin);
  if (usage) addUsage(draft, usage);
}

function readToolUse(draft: TranscriptDraft, block: JsonObject | null, origin: LineOrigin): void {
  if (block?.["type"] !== "tool_use") return;
  const [id, name] = ["id", "name"].map((key) => textAt(block, key, 200));
  addCall(draft, { id: id ?? null, name: name ?? null, input: block["input"] ?? null, ...origin });
}

function readSidechain(draft: TranscriptDraft, line: JsonObject, origin: LineOrigin): void {
  const message = objectAt(line, "message");
  const usage = line["type"] === "assistant" ? usageIn(line, message, origin) : null;
  if (usage && usage.model !== "<synthetic>") draft.subagentUsage.set(usage.messageId, usage);
}

function usageIn(line: JsonObject, message: JsonObject | null, origin: LineOrigin): Usage | null {
  const counts = objectAt(message, "usage");
  const messageId = textAt(message, "id", 200);
  if (!counts || messageId === null) return null;
  return {
    messageId,
    model: wordAt(message, "model", 200),
    ...readCounts(counts),
    at: origin.at,
  };
}

const maxTokens = 1_000_000_000;

/** Counts of a response, or of a model in the last event, which has names of its own for them. */
export function readCounts(usage: JsonObject | null): TokenCounts {
  const count = (name: string, otherName: string): number =>
    Math.floor(numberAt(usage, name, maxTokens) ?? numberAt(usage, otherName, maxTokens) ?? 0);
  return {
    input: count("input_tokens", "inputTokens"),
    output: count("output_tokens", "outputTokens"),
    cacheRead: count("cache_read_input_tokens", "cacheReadInputTokens"),
    cacheWrite: count("cache_creation_input_tokens", "cacheCreationInputTokens"),
  };
}

function wordsIn(holder: JsonObject | null, key = "content"): string {
  return textOf(holder, key, "text");
}

function imagesOf(holder: JsonObject | null, key = "content"): string[] {
  const images = blocksOf(holder, "image", key);
  return images.map((block) => textAt(objectAt(block, "source"), "media_type", 100) ?? "image");
}
