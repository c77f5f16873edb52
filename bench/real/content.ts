import { asObject, textAt, type JsonObject } from "../../src/shared/json-fields.ts";

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

const patchLine = /^\*\*\* (Add File|Update File|Delete File|Move to): (.+)$/gm;

/** @param only of this kind of change; absent: of all */
export function filesInPatch(patch: string, only?: "Delete File"): string[] {
  const lines = [...patch.matchAll(patchLine)].filter(([, change]) => only === undefined || change === only);
  return lines.map(([, , path = ""]) => path.trim());
}
