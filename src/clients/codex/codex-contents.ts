import { asObject, listAt, objectAt, parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { countOf, type ReadContents, type RowContents } from "../conversation/row-contents.ts";

const cutMark = /\u2026\d+ (?:tokens|chars) truncated\u2026|\[\.\.\. omitted \d+ of \d+ lines \.\.\.\]/;

/** Tools of a program that stand for it. */
const simpleTools: ReadonlySet<unknown> = new Set(["exec_command", "update_plan"]);
/** Functions that wait for a command which runs on, or type into it. */
const waiting: ReadonlySet<unknown> = new Set(["write_stdin", "wait"]);

/** Events repeat what these rows have. */
export const codexContents: ReadContents = (row) => {
  if (row["type"] === "event_msg") return { repeatsCalls: true };
  const payload = row["type"] === "response_item" ? objectAt(row, "payload") : null;
  const type = textAt(payload, "type") ?? "";
  const [blocks, parts] = [listAt(payload, "content"), listAt(payload, "output")];
  const call = payload && callIn(payload, type);
  return {
    ...(call ? { call } : {}),
    outputs: payload && type.endsWith("_output") ? [outputOf(payload, parts)] : [],
    images: countOf([...blocks, ...parts], /image/),
    thoughts: type === "reasoning" ? 1 : 0,
  };
};

function callIn(payload: JsonObject, type: string): RowContents["call"] | null {
  const [id, name] = [textAt(payload, "call_id", 200), textAt(payload, "name", 200) ?? ""];
  if (id === null) return null;
  if (type === "function_call" && waiting.has(name))
    return { id, name, input: parseObject(textAt(payload, "arguments") ?? "") };
  const program = type === "custom_tool_call" && name === "exec" ? textAt(payload, "input") : null;
  if (program === null) return null;
  const tools = [...program.matchAll(/\btools\.(\w{1,100})\(/g)].map(([, tool]) => tool);
  return tools.length > 0 && tools.every((tool) => simpleTools.has(tool))
    ? null
    : { id, name, input: { input: program } };
}

function outputOf(payload: JsonObject, parts: readonly unknown[]) {
  const texts = parts.flatMap((part) => textAt(asObject(part), "text") ?? []);
  const text = textAt(payload, "output") ?? texts.join("\n");
  return { of: textAt(payload, "call_id", 200), text, isCut: cutMark.test(text) };
}
