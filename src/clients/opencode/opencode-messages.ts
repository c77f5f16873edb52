import { wordAt } from "../../redaction/redact.ts";
import { asObject, listAt, objectAt, textAt, type JsonObject, numberAt } from "../../shared/json-fields.ts";
import { asTime } from "../../shared/known-time.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import type { ToolNames } from "../adapter/client-adapter.ts";
import { userWords, withAttachments } from "../adapter/harness-text.ts";
import { countOf, pictureAt, type ReadContents } from "../conversation/conversation.ts";
import {
  blocksOf,
  addCall,
  addCompaction,
  addEnd,
  addFailure,
  addText,
  textOf,
  type LineFormat,
  formatOf,
  type LineFormats,
  type TranscriptDraft,
} from "../transcript/transcript-draft.ts";
import { opencode, opencodeTools } from "./opencode.ts";
import { subagentResult } from "./subagent-result.ts";

/** A message of OpenCode 2 in the form of OpenCode 1; one of OpenCode 1 stays as it is. */
export function toFirstVersion(message: JsonObject): JsonObject {
  if (objectAt(message, "info") !== null) return message;
  const { id, type, time, error, finish } = message;
  const info = { id, role: type, time, error, finish, modelID: objectAt(message, "model")?.["id"] };
  return { info: omitUndefined(info), parts: partsOf(message) };
}

/** `synthetic` and `system` messages are OpenCode's own, and give no parts. */
function partsOf(message: JsonObject): JsonObject[] {
  if (message["type"] === "assistant")
    return listAt(message, "content").flatMap((part): JsonObject[] => {
      const known = toPart(asObject(part) ?? {});
      return known ? [known] : [];
    });
  if (message["type"] !== "user") return [];
  const files = listAt(message, "files").map((file): JsonObject => {
    const { name, mime } = asObject(file) ?? {};
    return { type: "file", filename: name, mime };
  });
  return [{ type: "text", text: textAt(message, "text") ?? "" }, ...files];
}

function toPart(part: JsonObject): JsonObject | null {
  if (part["type"] === "text") return part;
  if (part["type"] !== "tool") return null;
  const state = objectAt(part, "state");
  const { created, ran, completed } = objectAt(part, "time") ?? {};
  const output = listAt(state, "content").map((one) => textAt(asObject(one), "text") ?? "");
  const error = textAt(objectAt(state, "error"), "message");
  const time = omitUndefined({ start: ran ?? created, end: completed });
  return {
    type: "tool",
    callID: part["id"],
    tool: part["name"],
    state: {
      ...state,
      ...(error === null ? {} : { error }),
      output: output.join("\n"),
      metadata: objectAt(state, "structured") ?? {},
      time,
    },
  };
}

/** An answer as one message for each of its parts: words and calls alternate in it. */
export function openCodeSteps(row: JsonObject): JsonObject[] {
  const info = objectAt(row, "info");
  const parts = blocksOf(row, undefined, "parts");
  if (info?.["role"] !== "assistant" || info["summary"] === true || parts.length === 0) return [row];
  // The error of an answer is one, and follows its parts.
  const { error, ...rest } = info;
  const single = parts.map((part): JsonObject => ({ info: rest, parts: [part] }));
  return error === undefined ? single : [...single, { info, parts: [] }];
}

export const openCodeContents: ReadContents = (row) => {
  const parts = blocksOf(row, undefined, "parts");
  const states = parts.map((part) => (part["type"] === "tool" ? objectAt(part, "state") : null));
  const files = [...parts, ...states.flatMap((state) => listAt(state, "attachments"))].map(asObject);
  return {
    outputs: parts.flatMap((part, at) => {
      const state = states[at] ?? null;
      const text = textAt(state, "output") ?? textAt(state, "error");
      const isCut = objectAt(state, "metadata")?.["truncated"] === true;
      return text === null ? [] : [{ of: textAt(part, "callID", 200), text, isCut }];
    }),
    images: files.filter((file) => textAt(file, "mime")?.startsWith("image/")).length,
    pictures: parts.flatMap((part, at) => [
      ...pictureAt(null, textAt(part, "url")),
      ...listAt(states[at] ?? null, "attachments").flatMap((file) =>
        pictureAt(textAt(part, "callID", 200), textAt(asObject(file), "url")),
      ),
    ]),
    thoughts: countOf(parts, /^reasoning$/),
  };
};

/** A live read takes no calls: OpenCode is read by its plugin. */
const isUnhooked = true;

/** Messages of `opencode export`, each with its parts; a live chat has no such file. */
export const readOpenCodeMessage: LineFormat = (draft, row, { uuid }) => {
  const info = objectAt(row, "info");
  const origin = { at: timeAt(info, "created"), uuid: textAt(info, "id", 100) ?? uuid };
  formatOf(openCodeMessages, textAt(info, "role"))?.(draft, row, origin);
};

function timeAt(holder: JsonObject | null, name: string): number | null {
  return asTime(numberAt(objectAt(holder, "time"), name));
}

const openCodeMessages: LineFormats = {
  user: (draft, row, origin) => {
    const compaction = blocksOf(row, "compaction", "parts")[0];
    const trigger = compaction?.["auto"] === true ? "auto" : "manual";
    if (compaction) addCompaction(draft, { summary: null, trigger, at: origin.at });
    const files = blocksOf(row, "file", "parts");
    const names = files.map((part) => textAt(part, "filename", 500) ?? textAt(part, "mime", 100) ?? "file");
    addText(draft, "user", withAttachments(userWords(openCodeText(row)), names), origin);
  },
  assistant: (draft, row, origin) => {
    const info = objectAt(row, "info");
    const text = openCodeText(row);
    draft.model = wordAt(info, "modelID", 200) ?? draft.model;
    if (info?.["summary"] === true) return addOpenCodeSummary(draft, text.trim(), origin.at);
    for (const part of blocksOf(row, undefined, "parts"))
      formatOf(openCodeParts, textAt(part, "type"))?.(draft, part, origin);
    const endedAt = timeAt(info, "completed");
    draft.turnEnd = info?.["finish"] === "stop" && endedAt !== null ? { text, at: endedAt } : null;
    const error = objectAt(info, "error");
    if (error) readOpenCodeError(draft, error, { ...origin, at: endedAt ?? origin.at });
  },
};

function addOpenCodeSummary(draft: TranscriptDraft, summary: string, at: number | null): void {
  const begun = draft.compactions.at(-1)?.summary === null ? draft.compactions.pop() : undefined;
  addCompaction(draft, { summary, trigger: begun?.trigger ?? "unknown", at });
}

const readOpenCodeError: LineFormat = (draft, error, origin) => {
  if (error["name"] === "MessageAbortedError") draft.interruptions.push({ at: origin.at });
  else {
    const text = textAt(objectAt(error, "data"), "message") ?? textAt(error, "name") ?? "error";
    addFailure(draft, text, origin, opencode.limitIn?.(error));
  }
};

/** Synthetic parts are OpenCode's own: the content of a file, a request to go on. */
function openCodeText(row: JsonObject): string {
  const own = blocksOf(row, "text", "parts").filter(({ synthetic, ignored }) => !synthetic && !ignored);
  return textOf({ own }, "own");
}

const openCodeNames: ToolNames = new Map([...opencodeTools, ["question", "AskUserQuestion"]]);

const openCodeParts: LineFormats = {
  text: (draft, part, { at, uuid }) => {
    const ownTime = timeAt(part, "start") ?? at;
    addText(draft, "assistant", openCodeText({ parts: [part] }), { at: ownTime, uuid });
  },
  tool: (draft, part, { at: messageAt, uuid }) => {
    const id = textAt(part, "callID", 200);
    const tool = textAt(part, "tool", 200);
    const state = objectAt(part, "state");
    if (tool === null || state === null) return;
    const at = timeAt(state, "start") ?? messageAt;
    const name = openCodeNames.get(tool) ?? tool;
    addCall(draft, { id, name, input: state["input"], at, uuid, isUnhooked });
    if (state["status"] !== "completed" && state["status"] !== "error") return;
    const response = openCodeResponses.get(name)?.(state);
    const endedAt = timeAt(state, "end") ?? at;
    addEnd(draft, { toolUseId: id, error: openCodeError(state), at: endedAt, ...(response ? { response } : {}) });
  },
};

/** Parts of a result that are kept, by the tool. */
const openCodeResponses: ReadonlyMap<string, (state: JsonObject) => JsonObject> = new Map([
  ["AskUserQuestion", openCodeAnswers],
  ["Bash", printedIn],
  ["Agent", (state) => subagentResult(textAt(state, "output"), objectAt(state, "metadata"))],
]);

function printedIn(state: JsonObject): JsonObject {
  const code = numberAt(objectAt(state, "metadata"), "exit");
  return { stdout: textAt(state, "output") ?? "", ...(code === null ? {} : { exit_code: code }) };
}

/** A command that fails is a call that was completed. */
function openCodeError(state: JsonObject): string | null {
  if (state["status"] === "error") return textAt(state, "error") ?? "failed";
  const code = numberAt(objectAt(state, "metadata"), "exit") ?? 0;
  return code === 0 ? null : `Exit code ${code} ${textAt(state, "output") ?? ""}`.trim();
}

/** The answers stand in the order of the questions. */
function openCodeAnswers(state: JsonObject): JsonObject {
  const given = listAt(objectAt(state, "metadata"), "answers");
  const questions = listAt(objectAt(state, "input"), "questions").map((one) => textAt(asObject(one), "question") ?? "");
  return { answers: Object.fromEntries(questions.map((question, index) => [question, given[index]])) };
}
