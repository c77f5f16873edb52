import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { RestoreRig } from "./restore-rig.ts";

/** Whatever the words around it: a number out of 100 in a line that names a score, or any number out of 100. */
export function scoreIn(brief: string): number | null {
  const found = /score\D{0,40}(\d{1,3})\b/i.exec(brief) ?? /\b(\d{1,3})\s*(?:of|\/|out of)\s*100\b/.exec(brief);
  return found ? Number(found[1]) : null;
}

/** The score that was stored with the offer, where the brief does not name it. */
export function storedScore(rig: RestoreRig, session: string | null): number | null {
  const path = join(rig.shimHome, "shim.db");
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const rows = database.prepare("SELECT session_id AS session, score FROM recoveries ORDER BY seq DESC").all();
    const row = rows.find((row) => row["score"] !== null && (session === null || row["session"] === session));
    return row ? Number(row["score"]) : null;
  } finally {
    database.close();
  }
}
