import { numberAt, objectAt, parseObject, textAt, type JsonObject } from "../../src/shared/json-fields.ts";
import { isHarnessText } from "./harness-text.ts";
import { blocksOf, filesInPatch, type EventBody, type RecordedSession, type SessionEvent } from "./session-events.ts";

/** Each part of a message is two units: a call begins with the first and ends with the second. */
interface Part {
  readonly message: number;
  readonly info: JsonObject;
  readonly fields: JsonObject;
}

export function readOpenCode(text: string): RecordedSession | null {
  const document = parseObject(text);
  const info = objectAt(document, "info");
  // The chat that called the subagent wrote its prompt.
  if (info === null || textAt(info, "parentID") !== null) return null;
  const messages = blocksOf(document?.["messages"]);
  const parts = messages.flatMap((message, index): Part[] => {
    const about = objectAt(message, "info") ?? {};
    return blocksOf(message["parts"]).map((fields) => ({ message: index, info: about, fields }));
  });
  return {
    client: "opencode",
    id: textAt(info, "id") ?? "",
    cwd: textAt(info, "directory") ?? "",
    events: parts.flatMap(eventsOf),
    written: (_from, to) => JSON.stringify({ ...document, messages: messagesUpTo(messages, parts, to) }, null, 2),
  };
}

function messagesUpTo(messages: readonly JsonObject[], parts: readonly Part[], unit: number): JsonObject[] {
  // Only a call has a first half.
  const isHalf = unit % 2 === 1 && parts[(unit - 1) / 2]?.fields["type"] === "tool";
  const kept = parts.slice(0, isHalf ? Math.ceil(unit / 2) : Math.floor(unit / 2));
  return messages.flatMap((message, index) => {
    const own = kept.flatMap((part, at) =>
      part.message !== index ? [] : [isHalf && at === kept.length - 1 ? asRunning(part.fields) : part.fields],
    );
    if (own.length === 0) return [];
    const isWhole = !isHalf && own.length === blocksOf(message["parts"]).length;
    return [{ ...message, ...(isWhole ? {} : { info: unfinished(message) }), parts: own }];
  });
}

function unfinished(message: JsonObject): JsonObject {
  const { finish: _finish, ...info } = objectAt(message, "info") ?? {};
  return info;
}

function asRunning(part: JsonObject): JsonObject {
  const state = objectAt(part, "state");
  if (part["type"] !== "tool" || state === null) return part;
  const { start } = objectAt(state, "time") ?? {};
  return { ...part, state: { status: "running", input: state["input"], title: state["title"], time: { start } } };
}

function eventsOf(part: Part, index: number): SessionEvent[] {
  const { info, fields } = part;
  const at =
    numberAt(objectAt(objectAt(fields, "state") ?? fields, "time"), "start") ??
    numberAt(objectAt(info, "time"), "created");
  const [first, second] = [2 * index + 1, 2 * index + 2];
  if (fields["type"] === "tool") {
    const [call, end] = toolEvents(fields);
    return [call ? [{ ...call, unit: first, at }] : [], end ? [{ ...end, unit: second, at }] : []].flat();
  }
  const body = info["role"] === "user" ? saidByUser(fields) : [...saidByChat(info, fields), ...turnEndIn(info, fields)];
  return body.map((one) => Object.assign({ unit: one.kind === "compacting" ? first - 1 : second, at }, one));
}

function saidByUser(fields: JsonObject): EventBody[] {
  if (fields["type"] === "compaction") return [{ kind: "compacting" }];
  const text = textAt(fields, "text")?.trim() ?? "";
  if (fields["type"] !== "text" || text === "") return [];
  return fields["synthetic"] === true || isHarnessText(text) ? [{ kind: "harness", text }] : promptIn(text);
}

/** The end of a skill's text, which stands for its command, with the user's words. */
const calledSkill = /\n\nBase directory for this skill: .*\/(.+)\nRelative paths in this skill .*\s*([^]*)$/;

function promptIn(text: string): EventBody[] {
  const [skill, name, words = ""] = calledSkill.exec(text) ?? [];
  if (skill === undefined) return [{ kind: "prompt", text }];
  return [
    { kind: "harness", text: text.slice(0, -skill.length) },
    { kind: "prompt", text: `/${name} ${words}`.trim() },
  ];
}

function saidByChat(info: JsonObject, fields: JsonObject): EventBody[] {
  const text = textAt(fields, "text")?.trim() ?? "";
  if (fields["type"] !== "text" || text === "") return [];
  const isSummary = info["summary"] === true || info["mode"] === "compaction";
  if (isSummary) return [{ kind: "compaction", summary: text }];
  return [{ kind: "answer", text }];
}

/** Until its last part is there the message does not say how it ended. */
function turnEndIn(info: JsonObject, fields: JsonObject): EventBody[] {
  const isEnd = fields["type"] === "step-finish" && info["finish"] === "stop" && info["summary"] !== true;
  return isEnd ? [{ kind: "turnEnd" }] : [];
}

const names: Readonly<Record<string, string>> = { bash: "Bash", read: "Read", edit: "Edit", write: "Write" };
const editTools: ReadonlySet<string> = new Set(["edit", "write"]);

function toolEvents(fields: JsonObject): EventBody[] {
  const [id, tool] = [textAt(fields, "callID") ?? "", textAt(fields, "tool") ?? ""];
  const state = objectAt(fields, "state");
  const input = objectAt(state, "input") ?? {};
  const call: EventBody = { kind: "call", id, name: names[tool] ?? tool, input, edits: editsOf(tool, input) };
  return [call, ...endIn(state, id)];
}

function endIn(state: JsonObject | null, id: string): EventBody[] {
  const status = textAt(state, "status");
  if (status === "completed") return [{ kind: "end", id, error: null, response: state?.["output"] }];
  return status === "error" ? [{ kind: "end", id, error: textAt(state, "error") ?? "failed", response: "" }] : [];
}

function editsOf(tool: string, input: JsonObject): string[] {
  if (tool === "apply_patch") return filesInPatch(textAt(input, "patchText") ?? "");
  const path = textAt(input, "filePath");
  return path !== null && editTools.has(tool) ? [path] : [];
}
