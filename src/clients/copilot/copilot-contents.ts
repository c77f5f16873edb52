import { listAt, objectAt, textAt } from "../../shared/json-fields.ts";
import type { ReadContents } from "../conversation/row-contents.ts";

export const copilotContents: ReadContents = (row) => {
  if (textAt(row, "agentId") !== null) return { isOfSubagent: true };
  const data = objectAt(row, "data");
  const hasEnded = row["type"] === "tool.execution_complete";
  const text = textAt(objectAt(data, "result"), "content") ?? textAt(objectAt(data, "error"), "message") ?? "";
  return {
    outputs: hasEnded ? [{ of: textAt(data, "toolCallId", 200), text, isCut: false }] : [],
    images: row["type"] === "user.message" ? listAt(data, "attachments").length : 0,
    thoughts: textAt(data, "reasoningText") ? 1 : 0,
  };
};
