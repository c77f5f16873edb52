import { asObject, listAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { countOf, type ReadContents } from "../conversation/row-contents.ts";

const cutMark = /\u2026\d+ (?:tokens|chars) truncated\u2026|\[\.\.\. omitted \d+ of \d+ lines \.\.\.\]/;

/** Events repeat what these rows have. */
export const codexContents: ReadContents = (row) => {
  const payload = row["type"] === "response_item" ? objectAt(row, "payload") : null;
  const type = textAt(payload, "type") ?? "";
  const [blocks, parts] = [listAt(payload, "content"), listAt(payload, "output")];
  return {
    outputs: payload && type.endsWith("_output") ? [outputOf(payload, parts)] : [],
    images: countOf([...blocks, ...parts], /image/),
    thoughts: type === "reasoning" ? 1 : 0,
  };
};

function outputOf(payload: JsonObject, parts: readonly unknown[]) {
  const texts = parts.flatMap((part) => textAt(asObject(part), "text") ?? []);
  const text = textAt(payload, "output") ?? texts.join("\n");
  return { of: textAt(payload, "call_id", 200), text, isCut: cutMark.test(text) };
}
