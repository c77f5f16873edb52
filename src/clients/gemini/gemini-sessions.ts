import { dirname, join } from "node:path";
import { objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { readObject } from "../adapter/read-object.ts";
import { rootOf, type CleanUp, type SessionFiles } from "../adapter/session-files.ts";

function listOrNull(from: JsonObject | null, key: string): readonly unknown[] | null {
  return Array.isArray(from?.[key]) ? from[key] : null;
}

const unitDays: Readonly<Record<string, number>> = { h: 1 / 24, d: 1, w: 7, m: 30 };
const usualAge = "30d";

/** Seen in the text of 0.61.0: on unless it is switched off, at each start. */
function cleanUp(env: NodeJS.ProcessEnv): CleanUp | null {
  const general = objectAt(readObject(join(rootOf(env, geminiSessions), "settings.json")), "general");
  const retention = objectAt(general, "sessionRetention");
  if (retention?.["enabled"] === false) return null;
  const age = textAt(retention, "maxAge") ?? usualAge;
  const [, count = "30", unit = "d"] = /^(\d+)([hdwm])$/.exec(age) ?? [];
  const afterMs = Number(count) * (unitDays[unit] ?? 1) * 86_400_000;
  return { afterMs, isByRows: true, setting: `sessionRetention.maxAge ${age}` };
}

/** Gemini CLI stores no refusal. */
export const geminiSessions: SessionFiles = {
  home: [".gemini"],
  cleanUp,
  // Seen with 0.61.0, whatever the age of the file.
  unlisted({ rows, isNamed }) {
    if (rows > 0 && isNamed) return null;
    const why = rows === 0 ? "no message in it" : "no row that names the session";
    return {
      state: "expiring",
      text: `Gemini CLI finds ${why}, and deletes such a file each time it starts: copy it before`,
    };
  },
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
