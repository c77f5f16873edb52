import { basename, dirname, join } from "node:path";
import { objectAt, textAt } from "../../shared/json-fields.ts";
import { readObject } from "../adapter/read-object.ts";
import type { CleanUp, StoreHabits } from "../adapter/store-habits.ts";

const unitDays: Readonly<Record<string, number>> = { h: 1 / 24, d: 1, w: 7, m: 30 };
const usualAge = "30d";

/** Seen in the text of 0.61.0: on unless it is switched off, at each start. */
function cleanUp(root: string): CleanUp | null {
  const general = objectAt(readObject(join(root, "settings.json")), "general");
  const retention = objectAt(general, "sessionRetention");
  if (retention?.["enabled"] === false) return null;
  const age = textAt(retention, "maxAge") ?? usualAge;
  const [, count = "30", unit = "d"] = /^(\d+)([hdwm])$/.exec(age) ?? [];
  const afterMs = Number(count) * (unitDays[unit] ?? 1) * 86_400_000;
  return { afterMs, isByRows: true, setting: `sessionRetention.maxAge ${age}` };
}

/** The last eight characters of a name, by which the clean-up finds all files of a session. */
const shortId = /-([a-zA-Z0-9]{8})\.jsonl?$/;

export const geminiStore: StoreHabits = {
  cleanUp,
  // Seen in the text of 0.61.0, which compares no more of the id.
  deletedWith: (file) => join(dirname(file), shortId.exec(basename(file))?.[1] ?? basename(file)),
  // Seen with 0.61.0, whatever the age of the file.
  unlisted({ rows, isNamed }) {
    if (rows > 0 && isNamed) return null;
    const why = rows === 0 ? "no message in it" : "no row that names the session";
    return {
      state: "expiring",
      text: `Gemini CLI finds ${why}, and deletes such a file each time it starts: copy it before`,
    };
  },
};
