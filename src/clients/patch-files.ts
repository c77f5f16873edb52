import { resolve } from "node:path";
import { objectAt, textAt, type JsonObject } from "../shared/json-fields.ts";

const patchLine = /^\*\*\* (Add File|Update File|Delete File|Move to): (.+)$/gm;
const changes: ReadonlyMap<string, ChangedFile["change"]> = new Map([
  ["Add File", "create"],
  ["Delete File", "delete"],
]);
const patchFields = ["command", "patchText", "input", "patch"];

/** A patch changes several files: one call for each, with Claude Code's tools. */
export function callsOfPatch(input: JsonObject): JsonObject[] {
  if (input["tool_name"] !== "apply_patch") return [input];
  const values = objectAt(input, "tool_input");
  const patch = textAt(input, "tool_input") ?? patchFields.map((field) => textAt(values, field)).find(Boolean) ?? "";
  const lines = [...patch.matchAll(patchLine)].map(([, action = "", path = ""]) => ({ action, path }));
  const files = lines.map(({ action, path }, index) => ({
    change: lines[index + 1]?.action === "Move to" ? ("delete" as const) : changes.get(action),
    path,
  }));
  return files.length === 0 ? [input] : callsOfFiles(input, files);
}

interface ChangedFile {
  readonly path: string;
  /** Undefined: its content. */
  readonly change: "create" | "delete" | undefined;
}

export function callsOfFiles(input: JsonObject, files: readonly ChangedFile[]): JsonObject[] {
  const folder = textAt(input, "cwd") ?? "/";
  const id = textAt(input, "tool_use_id");
  return files.map(({ change, path }, at) => ({
    ...input,
    ...(id === null ? {} : { tool_use_id: at === 0 ? id : `${id}.${at}` }),
    tool_name: change === "create" ? "Write" : "Edit",
    tool_input: { file_path: resolve(folder, path.trim()) },
    tool_response: change ? { type: change } : {},
  }));
}
