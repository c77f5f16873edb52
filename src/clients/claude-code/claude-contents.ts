import { asObject, listAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { countOf, type ReadContents } from "../conversation/conversation.ts";
import { blocksOf, textOf } from "../transcript/transcript-draft.ts";

/** A result over 50,000 characters is a file, of which the model gets the beginning. */
const cutMark = "<persisted-output>";

export const claudeContents: ReadContents = (row) => {
  if (row["isSidechain"] === true) return { isOfSubagent: row["type"] === "user" || row["type"] === "assistant" };
  const message = objectAt(row, "message");
  const blocks = listAt(message, "content");
  const results = blocksOf(message, "tool_result");
  return {
    outputs: results.map((result) => ({ of: textAt(result, "tool_use_id", 200), ...outputOf(result) })),
    images: countOf([...blocks, ...results.flatMap((result) => listAt(result, "content"))], /^image$/),
    thoughts: countOf(blocks, /thinking$/),
  };
};

/** A search for tools gives names of tools alone. */
function outputOf(result: JsonObject): { readonly text: string; readonly isCut: boolean } {
  const names = listAt(result, "content").flatMap((block) => textAt(asObject(block), "tool_name") ?? []);
  const text = textOf(result, "content", "text") || names.join("\n");
  return { text, isCut: text.startsWith(cutMark) };
}
