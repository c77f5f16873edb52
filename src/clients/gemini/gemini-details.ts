import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { wordAt } from "../../redaction/redact.ts";
import {
  asObject,
  listAt,
  objectAt,
  parseObject,
  textAt,
  numberAt,
  type JsonObject,
} from "../../shared/json-fields.ts";
import { asTime } from "../../shared/known-time.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import type { ClientDetails } from "../adapter/client-details.ts";
import { millisecond, settings } from "../adapter/client-form.ts";
import { isRefusal, userWords } from "../adapter/harness-text.ts";
import { readObject, type SessionFiles, type CleanUp, type StoreHabits } from "../adapter/session-files.ts";
import { beginEvents, endEvent, runOutput, toolEvent } from "../adapter/run-output.ts";
import { failedText, shellAnswer } from "../adapter/tools.ts";
import { inlinePicture, type ReadContents } from "../conversation/conversation.ts";
import type { Branch } from "../transcript/branches.ts";
import {
  addCall,
  addCompaction,
  addCounts,
  addEnd,
  addFailure,
  addText,
  textOf,
  endWithout,
  type LineFormat,
  formatOf,
  type LineFormats,
  rowState,
  type TranscriptDraft,
} from "../transcript/transcript-draft.ts";
import { headNamedBy, headOf, type SessionHead } from "../transcript/transcript-file.ts";
import type { ContentRow } from "../transcript/transcript-rows.ts";
import { geminiTools } from "./gemini.ts";

const geminiContents: ReadContents = (row) => {
  const calls = listAt(row, "toolCalls").map(asObject);
  const parts = [...listAt(row, "content"), ...calls.flatMap((call) => listAt(call, "result"))].map(asObject);
  return {
    outputs: calls.flatMap((call) => {
      const result = objectAt(asObject(listAt(call, "result")[0]), "functionResponse");
      const response = objectAt(result, "response");
      const text = textAt(response, "output") ?? textAt(response, "error") ?? textAt(call, "resultDisplay");
      return text === null ? [] : [{ of: textAt(call, "id", 200), text, isCut: false }];
    }),
    images: parts.filter((part) => part && ("inlineData" in part || "fileData" in part)).length,
    pictures: parts.flatMap((part) => inlinePicture(objectAt(part, "inlineData"))),
    thoughts: listAt(row, "thoughts").length,
  };
};

/** Hooks of Gemini CLI give a call no id: a live read takes no calls of theirs. */
const isUnhooked = true;

/**
 * Messages of Gemini CLI, each written again when it grows, between lines that only set
 * fields of the file.
 */
const geminiMessages: LineFormats = {
  user: (draft, line, origin) => {
    const isCopy = stateOf(draft).isCancelled && textOf(line).startsWith(contextMark);
    const words = isCopy ? "" : userWords(textOf(line));
    stateOf(draft).isCancelled = false;
    const isPrompt = words.trim() !== "";
    if (isPrompt) draft.branch = { parent: draft.branch, isWithdrawn: false };
    stateOf(draft).branches.set(origin.uuid, isPrompt || draft.branch === null ? draft.branch : "in a turn");
    addText(draft, "user", words, origin);
  },
  gemini: (draft, line, origin) => {
    const text = textOf(line);
    addText(draft, "assistant", text, origin);
    const calls = listAt(line, "toolCalls");
    for (const call of calls) readGeminiCall(draft, asObject(call) ?? {}, origin);
    draft.turnEnd = endWithout(calls, text, origin);
    const fields = { input: "input", cached: "cached", output: ["output", "thoughts"] };
    const about = { messageId: origin.uuid, model: wordAt(line, "model", 200), at: origin.at };
    addCounts(draft, objectAt(line, "tokens"), fields, about);
  },
  error: (draft, line, origin) => addFailure(draft, textOf(line) || "error", origin),
  info: (draft, line, { at }) => {
    if (textOf(line) !== "Request cancelled.") return;
    draft.interruptions.push({ at });
    stateOf(draft).isCancelled = true;
  },
};

const stateOf = rowState(() => ({
  /** Branch of each message of the user, by its id; results of calls are such messages. */
  branches: new Map<string, Branch | "in a turn" | null>(),
  /** Whether the newest message says so: a copy of the prompt follows it, under another id. */
  isCancelled: false,
}));

/** Begins the first message of a chat, and the copy of a prompt that was cancelled. */
const contextMark = "<session_context>";

const readGeminiLine: LineFormat = (draft, line, { at, uuid }) => {
  readCompression(draft, listAt(objectAt(line, "$set"), "messages").map(asObject));
  const rewoundTo = textAt(line, "$rewindTo", 100);
  if (rewoundTo !== null) return readRewind(draft, rewoundTo, uuid);
  const words = line["type"] === "user" ? userWords(textOf(line)).trim() : "";
  if (draft.isForeign({ at, ...(words === "" ? {} : { text: words }) })) return;
  formatOf(geminiMessages, textAt(line, "type"))?.(draft, line, { at, uuid: textAt(line, "id", 100) ?? uuid });
};

/** The answer to the summary, in the model's name, in a compressed conversation. */
const afterSummary = "Got it. Thanks for the additional context!";

/** The messages that replace all others; a later batch has those of an earlier compression, too. */
function readCompression(draft: TranscriptDraft, messages: readonly (JsonObject | null)[]): void {
  const at = messages.findIndex((message) => message?.["type"] === "gemini" && textOf(message) === afterSummary);
  const time = asTime(Date.parse(textAt(messages[at] ?? null, "timestamp", 40) ?? ""));
  if (at > 0) addCompaction(draft, { summary: textOf(messages[at - 1] ?? null), trigger: "unknown", at: time });
}

/** The user goes back to before a message. */
function readRewind(draft: TranscriptDraft, to: string, uuid: string): void {
  const branch = stateOf(draft).branches.get(to);
  if (branch === "in a turn") return;
  if (!branch) return void draft.unplaced.push(uuid);
  branch.isWithdrawn = true;
  draft.branch = branch.parent;
}

const geminiEnds: ReadonlySet<unknown> = new Set(["success", "error", "cancelled"]);

const readGeminiCall: LineFormat = (draft, call, { at: lineAt, uuid }) => {
  const id = textAt(call, "id", 200);
  const name = textAt(call, "name", 200);
  const at = asTime(Date.parse(textAt(call, "timestamp", 40) ?? "")) ?? lineAt;
  if (name === null) return;
  addCall(draft, { id, name: geminiTools.get(name) ?? name, input: call["args"], at, uuid, isUnhooked });
  const { status } = call;
  if (!geminiEnds.has(status)) return;
  const answer = objectAt(asObject(listAt(call, "result")[0]), "functionResponse");
  const response = objectAt(answer, "response");
  const shell = shellAnswer(answer);
  const output = textAt(response, "output") ?? textAt(response, "error") ?? textAt(call, "resultDisplay") ?? "failed";
  if (isRefusal(output)) draft.decisions.push({ at, isRefused: true });
  const isFailed = status !== "success" || /^Exit Code: [1-9]/m.test(output);
  const failed = shell === null ? output : failedText(shell);
  const result = shell ?? resultIn(name, output, call);
  addEnd(draft, {
    toolUseId: id,
    error: isFailed ? failed : null,
    at,
    ...(result === null ? {} : { response: result }),
  });
};

/** The user's answers, which name a question by its place. */
function answersIn(call: JsonObject, output: string): JsonObject {
  const questions = listAt(objectAt(call, "args"), "questions").map(asObject);
  const given = Object.entries(objectAt(parseObject(output), "answers") ?? {});
  const answers = given.map(([at, answer]) => [textAt(questions[Number(at)] ?? null, "question") ?? at, answer]);
  return { answers: Object.fromEntries(answers) };
}

/** A new file, answers, or the words of a sub-agent; null: of other tools nothing is kept. */
function resultIn(tool: string, output: string, call: JsonObject): JsonObject | null {
  if (tool === "ask_user") return answersIn(call, output);
  if (output.startsWith("Successfully created")) return { type: "create" };
  const agentId = textAt(call, "agentId", 200) ?? undefined;
  return tool === "invoke_agent" ? omitUndefined({ output, agentId }) : null;
}

const geminiRun = runOutput(["--output-format", "stream-json"], {
  init: (event) => beginEvents(textAt(event, "session_id", 200), textAt(event, "model", 200)),
  message: (event) => {
    const text = textAt(event, "role", 40) === "assistant" ? textAt(event, "content") : null;
    return text === null ? [] : [{ kind: "text", text, isPart: event["delta"] === true }];
  },
  tool_use: (event) => [toolEvent(textAt(event, "tool_name", 200), event["parameters"])],
  result: (event) => {
    const message = textAt(objectAt(event, "error"), "message") ?? "it reported a failure without a reason";
    const isGood = textAt(event, "status", 40) === "success";
    return [endEvent(isGood ? null : message, numberAt(objectAt(event, "stats"), "total_tokens"))];
  },
});

const unitDays: Readonly<Record<string, number>> = { h: 1 / 24, d: 1, w: 7, m: 30 };
const usualAge = "30d";

/** Seen in the text of 0.61.0: on unless it is switched off, at each start. */
function cleanUp(root: string): CleanUp | null {
  const general = objectAt(readObject(join(root, "settings.json")), "general");
  const retention = objectAt(general, "sessionRetention");
  if (retention?.["enabled"] === false) return null;
  const age = textAt(retention, "maxAge") ?? usualAge;
  const [, count = "30", unit = "d"] = /^(\d+)([hdwm])$/.exec(age) ?? [];
  const afterMs = Number(count) * (unitDays[unit] ?? 1) * 86_400_000;
  return { afterMs, isByRows: true, setting: `sessionRetention.maxAge ${age}` };
}

/** The last eight characters of a name, by which the clean-up finds all files of a session. */
const shortId = /-([a-zA-Z0-9]{8})\.jsonl?$/;

const geminiStore: StoreHabits = {
  cleanUp,
  subagents: (file, id) => join(dirname(file), id),
  // Seen in the text of 0.61.0, which compares no more of the id.
  deletedWith: (file) => join(dirname(file), shortId.exec(basename(file))?.[1] ?? basename(file)),
  // Seen with 0.61.0, whatever the age of the file.
  unlisted({ rows, isNamed }) {
    if (rows > 0 && isNamed) return null;
    const why = rows === 0 ? "no message in it" : "no row that names the session";
    return {
      state: "expiring",
      text: `Gemini CLI finds ${why}, and deletes such a file each time it starts: copy it before`,
    };
  },
};

function listOrNull(from: JsonObject | null, key: string): readonly unknown[] | null {
  return Array.isArray(from?.[key]) ? from[key] : null;
}

/** Gemini CLI stores no refusal. */
const geminiSessions: SessionFiles = {
  home: [".gemini"],
  store: geminiStore,
  // Older versions wrote one document.
  files: ["tmp/*/chats/*-{id8}.jsonl", "tmp/*/chats/*-{id8}.json"],
  messagesIn: (row) => listOrNull(row, "messages") ?? listOrNull(objectAt(row, "$set"), "messages"),
  isInFolder: true,
  sessionIn: (row) => headOfFirst(row)?.session ?? null,
  head: {
    is: (row) => headOfFirst(row) !== null,
    make(sessionId, cwd, at) {
      const startTime = new Date(at).toISOString();
      const projectHash = createHash("sha256").update(cwd).digest("hex");
      return { sessionId, projectHash, startTime, lastUpdated: startTime, kind: "main" };
    },
  },
  folderOf(file, project) {
    const root = dirname(dirname(dirname(dirname(file))));
    const names = objectAt(readObject(join(root, "projects.json")), "projects");
    const name = textAt(names, project);
    return name && join(root, "tmp", name, "chats");
  },
  rowOf(row) {
    // Results of calls, and what the client itself says, are messages of the user too.
    if (row["type"] === "user") return { kind: userWords(textOf(row)) === "" ? "input" : "prompt" };
    return row["type"] === "gemini" ? { kind: "answer", of: textAt(row, "id") } : null;
  },
};

const messageTypes: ReadonlySet<unknown> = new Set(["user", "gemini"]);

function headOfFirst(row: JsonObject): SessionHead | null {
  const folderHash = textAt(row, "projectHash", 200);
  const head = folderHash === null ? null : headOf(row, "sessionId");
  return head && { ...head, folderHash };
}

export const geminiDetails: ClientDetails = {
  readRow: readGeminiLine,
  contentsOf: geminiContents,
  headOf: headOfFirst,
  headOfFile: (row, path) =>
    messageTypes.has(row["type"]) && "content" in row && "id" in row ? headNamedBy(path, null) : null,
  fold: foldGemini,
  documentOf(document) {
    const head = headOfFirst(document);
    const messages = document["messages"];
    return head && Array.isArray(messages) ? { head: { client: "gemini", ...head }, messages } : null;
  },
  runOutput: geminiRun,
  sessions: geminiSessions,
  form: {
    ...settings("gemini", ".gemini/settings.json", "powershell", millisecond),
    reads: ["comments"],
    // Prompts of a server are no commands there (google-gemini/gemini-cli#21077).
    commands: ".gemini/commands/shim.toml",
  },
};

/**
 * Messages of Gemini CLI as they stand at the end of its file: each is written again when
 * it grows, and batches of them replace what has the same id.
 * Gemini CLI itself forgets what a batch leaves out; the user has said it all the same.
 */
function* foldGemini(rows: Iterable<ContentRow>): Generator<ContentRow> {
  const messages = new Map<string, ContentRow>();
  for (const one of rows) {
    const { row, damage, position, bytes } = one;
    const batch = objectAt(row, "$set")?.["messages"] ?? row?.["messages"];
    if (Array.isArray(batch)) {
      for (const message of batch.map(asObject))
        messages.set(textAt(message, "id", 200) ?? `@${position}.${messages.size}`, {
          row: message,
          damage: message === null ? "foreign" : damage,
          position,
          bytes,
        });
    } else messages.set((row && textAt(row, "id", 200)) ?? `@${position}`, one);
  }
  yield* messages.values();
}
