import { createHash } from "node:crypto";
import type { JournalEntry } from "../../contract/journal.ts";
import { redact } from "../redaction/redact.ts";

/** An entry with the key that makes it unique in its session. */
export interface KeyedEntry<Entry extends JournalEntry = JournalEntry> {
  readonly key: string;
  readonly entry: Entry;
}

/** Longest texts kept, in characters. */
export const limits = { prompt: 8_000, assistant: 6_000, input: 300, error: 1_500, summary: 16_000 };

/** A text of the assistant, from a hook or the transcript. The caller drops one that the turn already has. */
export function assistant(text: string): KeyedEntry<Extract<JournalEntry, { kind: "assistant" }>> | null {
  if (!text.trim()) return null;
  const kept = bound(text, limits.assistant);
  return { key: `assistant:${digest(kept)}`, entry: { kind: "assistant", text: kept } };
}

/** Redacts first, so that a secret is not cut in two and missed; says how much was cut. */
export function bound(text: string, max: number): string {
  // Only a bounded part is looked at: what is beyond four times the limit cannot be kept anyway.
  const clean = redact(text.slice(0, max * 4)).text;
  const total = clean.length + Math.max(0, text.length - max * 4);
  return total <= max ? clean : `${clean.slice(0, max)} [cut, ${total - max} more characters]`;
}

export function digest(text: string): string {
  return createHash("sha1").update(text).digest("hex").slice(0, 16);
}
