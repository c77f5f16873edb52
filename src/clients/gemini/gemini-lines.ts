import { asObject, listAt, objectAt, textAt } from "../../shared/json-fields.ts";
import { wordAt } from "../../redaction/bounded-text.ts";
import { userWords } from "../adapter/harness-text.ts";
import {
  addCall,
  addCounts,
  addEnd,
  addFailure,
  addText,
  textOf,
  endWithout,
  type LineFormat,
  type LineFormats,
} from "../transcript/transcript-draft.ts";
import { failedText, shellAnswer } from "../adapter/shell-results.ts";
import { geminiTools } from "./gemini.ts";

/** Hooks of Gemini CLI give a call no id: a live read takes no calls of theirs. */
const isUnhooked = true;

/**
 * Messages of Gemini CLI, each written again when it grows, between lines that only set
 * fields of the file.
 */
const geminiMessages: LineFormats = {
  user: (draft, line, origin) => addText(draft, "user", userWords(textOf(line)), origin),
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
    if (textOf(line) === "Request cancelled.") draft.interruptions.push({ at });
  },
};

export const readGeminiLine: LineFormat = (draft, line, { at, uuid }) =>
  geminiMessages[textAt(line, "type") ?? ""]?.(draft, line, { at, uuid: textAt(line, "id", 100) ?? uuid });

const geminiEnds: ReadonlySet<unknown> = new Set(["success", "error", "cancelled"]);

const readGeminiCall: LineFormat = (draft, call, { at: lineAt, uuid }) => {
  const id = textAt(call, "id", 200);
  const name = textAt(call, "name", 200);
  const ownTime = Date.parse(textAt(call, "timestamp", 40) ?? "");
  const at = Number.isNaN(ownTime) ? lineAt : ownTime;
  if (name === null) return;
  addCall(draft, { id, name: geminiTools.get(name) ?? name, input: call["args"], at, uuid, isUnhooked });
  const { status } = call;
  if (!geminiEnds.has(status)) return;
  const answer = objectAt(asObject(listAt(call, "result")[0]), "functionResponse");
  const response = objectAt(answer, "response");
  const shell = shellAnswer(answer);
  const output = textAt(response, "output") ?? textAt(response, "error") ?? textAt(call, "resultDisplay") ?? "failed";
  const isFailed = status !== "success" || /^Exit Code: [1-9]/m.test(output);
  const created = output.startsWith("Successfully created") ? { response: { type: "create" } } : {};
  const printed = shell === null ? created : { response: shell };
  const failed = shell === null ? output : failedText(shell);
  addEnd(draft, { toolUseId: id, error: isFailed ? failed : null, at, ...printed });
};
