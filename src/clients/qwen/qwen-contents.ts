import { asObject, listAt, objectAt, textAt } from "../../shared/json-fields.ts";
import type { ReadContents } from "../conversation/row-contents.ts";

/** Messages of Qwen Code are Gemini's. */
export const qwenContents: ReadContents = (row) => {
  const parts = listAt(objectAt(row, "message"), "parts").map(asObject);
  const results = parts.map((part) => objectAt(part, "functionResponse")).filter((one) => one !== null);
  const cut = objectAt(objectAt(row, "toolCallResult"), "resultDisplay")?.["truncated"] === true;
  return {
    outputs: results.map((result) => {
      const response = objectAt(result, "response");
      const text = textAt(response, "output") ?? textAt(response, "error") ?? "";
      return { of: textAt(result, "id", 200), text, isCut: cut };
    }),
    images: parts.filter((part) => part && ("inlineData" in part || "fileData" in part)).length,
    thoughts: parts.filter((part) => part?.["thought"] === true).length,
  };
};
