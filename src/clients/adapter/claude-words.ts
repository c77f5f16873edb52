import { asObject } from "../../shared/json-fields.ts";
import { withClaudeTool } from "./define-client.ts";

/** Fields of other clients for the three tools that read and change files. */
const fileFields: ReadonlyMap<string, string> = new Map([
  ["filePath", "file_path"],
  ["path", "file_path"],
  ["absolute_path", "file_path"],
  ["oldString", "old_string"],
  ["old_str", "old_string"],
  ["newString", "new_string"],
  ["new_str", "new_string"],
  ["replaceAll", "replace_all"],
  ["file_text", "content"],
]);
const fileTools: ReadonlySet<string> = new Set(["Edit", "Read", "Write"]);

/**
 * Pure. The input of a call in Claude Code's words.
 *
 * @param cwd folder of relative paths; null: not known
 */
export function inClaudeWords(name: string, input: unknown, cwd: string | null): unknown {
  const given = fileTools.has(name) ? asObject(input) : null;
  if (!given) return input;
  const renamed = Object.entries(given).map(([field, value]) => [fileFields.get(field) ?? field, value] as const);
  const call = { tool_name: name, tool_input: Object.fromEntries(renamed), ...(cwd === null ? {} : { cwd }) };
  return withClaudeTool(call, new Map())["tool_input"];
}
