import { resolve } from "node:path";
import { objectAt, textAt, type JsonObject } from "../shared/json-fields.ts";

/** Claude Code's names of a client's tools. */
export type ToolNames = ReadonlyMap<string, string>;

const fileTools: ReadonlySet<string> = new Set(["Read", "Edit", "Write"]);
const pathFields = ["file_path", "filePath", "path", "absolute_path"];

/** A call in Claude Code's words; the call of another tool stays as it is. */
export function withClaudeTool(input: JsonObject, names: ToolNames): JsonObject {
  const given = textAt(input, "tool_name");
  if (given === null) return input;
  const name = names.get(given) ?? given;
  const values = objectAt(input, "tool_input");
  const path = pathFields.map((field) => textAt(values, field)).find((one) => one !== null);
  if (!fileTools.has(name) || path === undefined) return { ...input, tool_name: name };
  const file = resolve(textAt(input, "cwd") ?? "/", path);
  return { ...input, tool_name: name, tool_input: { ...values, file_path: file } };
}

/** Marks the result of a write that made a new file, as Claude Code does. */
export function withNewFile(input: JsonObject): JsonObject {
  return { ...input, tool_response: { type: "create" } };
}
