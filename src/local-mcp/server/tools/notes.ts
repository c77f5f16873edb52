import type { WorkNotes } from "../../../contract/checkpoint.ts";
import { redactJson } from "../../../redaction/redact.ts";

export interface CleanNotes {
  readonly notes: WorkNotes;
  readonly redactions: number;
}

/** [MC10] Field limits hold for the input only: a redaction mark may be longer than the secret. */
export function cleanNotes(given: WorkNotes): CleanNotes {
  const { value, count } = redactJson(given);
  // Redaction keeps the shape; a path of only private text becomes empty.
  const notes = value as WorkNotes;
  const files = notes.files?.filter((path) => path.trim() !== "");
  return { notes: { ...notes, ...(files ? { files } : {}) }, redactions: count };
}
