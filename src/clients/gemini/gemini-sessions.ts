import { dirname, join } from "node:path";
import { objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { readObject } from "../adapter/read-object.ts";
import type { SessionFiles } from "../adapter/session-files.ts";
import { geminiStore } from "./gemini-store.ts";

function listOrNull(from: JsonObject | null, key: string): readonly unknown[] | null {
  return Array.isArray(from?.[key]) ? from[key] : null;
}

/** Gemini CLI stores no refusal. */
export const geminiSessions: SessionFiles = {
  home: [".gemini"],
  store: geminiStore,
  // Older versions wrote one document.
  files: ["tmp/*/chats/*-{id8}.jsonl", "tmp/*/chats/*-{id8}.json"],
  messagesIn: (row) => listOrNull(row, "messages") ?? listOrNull(objectAt(row, "$set"), "messages"),
  isInFolder: true,
  folderOf(file, project) {
    const root = dirname(dirname(dirname(dirname(file))));
    const names = objectAt(readObject(join(root, "projects.json")), "projects");
    const name = textAt(names, project);
    return name && join(root, "tmp", name, "chats");
  },
  rowOf(row) {
    if (row["type"] === "user") return { kind: "prompt" };
    return row["type"] === "gemini" ? { kind: "answer", of: textAt(row, "id") } : null;
  },
};
