import { asObject, parseObject, textAt, type JsonObject } from "../../src/shared/json-fields.ts";

const textTypes: ReadonlySet<unknown> = new Set(["text", "input_text", "output_text"]);

export function blocksOf(content: unknown): JsonObject[] {
  return Array.isArray(content)
    ? content.map((block: unknown) => asObject(block)).filter((block) => block !== null)
    : [];
}

export function textsOf(content: unknown): string[] {
  if (typeof content === "string") return [content];
  return blocksOf(content).flatMap((block) => (textTypes.has(block["type"]) ? (textAt(block, "text") ?? []) : []));
}

export function textOf(content: unknown): string {
  return textsOf(content).join("\n").trim();
}

/** Lines that Codex puts before a command's output. */
const codexHead = /^(?:[^\n]*\n){0,8}?Output:(?:\n|$)/;

/** Claude Code writes it below the errors of a command. */
const folderNote = /^Shell cwd was reset to .*$/m;

/** What a command has printed, in each client's form of a result. */
export function outputOf(response: unknown): string {
  const fields = asObject(response);
  const printed = [fields?.["stdout"], fields?.["stderr"]].filter((one) => typeof one === "string").join("\n");
  if (fields !== null && printed !== "") return printed.replace(folderNote, "");
  const text = textOf(response).replace(codexHead, "").trim();
  const last = text.slice(text.lastIndexOf("\n") + 1);
  return resultObject.test(last) ? (textAt(parseObject(last), "output") ?? "") : text;
}

/** A program of Codex may print a command's result as it is. */
const resultObject = /^\{(?=.*"output":)(?:"output":|.*"(?:exit_code|session_id|chunk_id)":)/;

const patchLine = /^\*\*\* (Add File|Update File|Delete File|Move to): (.+)$/gm;

/** @param only of this kind of change; absent: of all */
export function filesInPatch(patch: string, only?: "Delete File"): string[] {
  const lines = [...patch.matchAll(patchLine)].filter(([, change]) => only === undefined || change === only);
  return lines.map(([, , path = ""]) => path.trim());
}
