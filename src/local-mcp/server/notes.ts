import type { WorkNotes } from "../../contract/checkpoint.ts";
import { redactJson } from "../../redaction/redact.ts";

export interface CleanNotes {
  readonly notes: WorkNotes;
  /** How many secrets were taken out. */
  readonly redactions: number;
}

/**
 * [MC10] What a chat says of its work, without secrets. The limits of the fields hold for what was given: a mark in place of a secret may
 * make a text longer than they allow.
 */
export function cleanNotes(given: WorkNotes): CleanNotes {
  const { value, count } = redactJson(given);
  // Redaction puts strings in place of strings, so the shape stays; only a path that was all private text is no path any more.
  const notes = value as WorkNotes;
  const files = notes.files?.filter((path) => path.trim() !== "");
  return { notes: { ...notes, ...(files ? { files } : {}) }, redactions: count };
}
