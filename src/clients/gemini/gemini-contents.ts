import { asObject, listAt, objectAt, textAt } from "../../shared/json-fields.ts";
import type { ReadContents } from "../conversation/row-contents.ts";

export const geminiContents: ReadContents = (row) => {
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
    thoughts: listAt(row, "thoughts").length,
  };
};
