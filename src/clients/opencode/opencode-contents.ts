import { asObject, listAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { countOf, type ReadContents } from "../conversation/conversation.ts";
import { blocksOf } from "../transcript/transcript-draft.ts";

/** An answer as one message for each of its parts: words and calls alternate in it. */
export function openCodeParts(row: JsonObject): JsonObject[] {
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
    thoughts: countOf(parts, /^reasoning$/),
  };
};
