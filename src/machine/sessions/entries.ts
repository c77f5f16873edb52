import { createHash } from "node:crypto";
import type { UsageLimit } from "../../contract/config.ts";
import type { JournalEntry } from "../../contract/journal.ts";
import { stored } from "../../contract/limits.ts";
import { redactAndClip, redactAndKeepEnds, redact } from "../../redaction/redact.ts";
import { chatWords } from "../../clients/adapter/harness-text.ts";

export interface KeyedEntry<Entry extends JournalEntry = JournalEntry> {
  readonly key: string;
  readonly entry: Entry;
}

/** End of a prompt whose event came in part. */
export const cutOffMark = " [cut off: the rest did not arrive]";

export function assistant(text: string): KeyedEntry<Extract<JournalEntry, { kind: "assistant" }>> | null {
  // A hook has the text without the blanks that it has in the transcript.
  const trimmed = chatWords(text).trim();
  if (!trimmed) return null;
  const kept = redactAndKeepEnds(trimmed, stored.assistant);
  return { key: `assistant:${digest(kept)}`, entry: { kind: "assistant", text: kept } };
}

export function failure(text: string, limit: UsageLimit | null): JournalEntry {
  return { kind: "failure", text: redactAndClip(text, stored.error), ...(limit ? { limit } : {}) };
}

/** @param id of the call or the row by which the user approved it */
export function approvedPlan(text: string, id: string): KeyedEntry<Extract<JournalEntry, { kind: "plan" }>> {
  return { key: `plan:${id}`, entry: { kind: "plan", text: redactAndClip(text.trim(), stored.plan) } };
}

/** Replaces what cannot be an id, or resembles a secret or an option, by its digest. */
export function idOf(given: string): string {
  return /^\w[\w.:@-]{0,199}$/.test(given) && redact(given).count === 0 ? given : `id_${digest(given)}`;
}

/** Redacts a path for storage; a redacted path only fails to open later. */
export function pathOf(given: string): string {
  return given.length <= stored.path ? redact(given).text : redactAndClip(given, stored.path);
}

export function digest(text: string): string {
  return createHash("sha1").update(text).digest("hex").slice(0, 16);
}
