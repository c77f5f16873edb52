import { createHash } from "node:crypto";
import type { JournalEntry } from "../../contract/journal.ts";
import { redact } from "../../redaction/redact.ts";

/** An entry with the key that makes it unique in its session. */
export interface KeyedEntry<Entry extends JournalEntry = JournalEntry> {
  readonly key: string;
  readonly entry: Entry;
}

/** Longest texts kept, in characters. */
export const limits = {
  prompt: 8_000,
  assistant: 6_000,
  input: 300,
  error: 1_500,
  summary: 16_000,
  plan: 2_000,
  label: 100,
  path: 4_096,
};

/** A text of the assistant, from a hook or the transcript. */
export function assistant(text: string): KeyedEntry<Extract<JournalEntry, { kind: "assistant" }>> | null {
  if (!text.trim()) return null;
  const kept = redactAndClip(text, limits.assistant);
  return { key: `assistant:${digest(kept)}`, entry: { kind: "assistant", text: kept } };
}

/** A longer text is looked at up to four times its limit and this much more, in characters; so much of it is thrown away again. */
const windowMarginChars = 4_000;

/** [JO3] Redacts first, so that no secret is cut in two and missed; says how much was cut. */
export function redactAndClip(text: string, max: number): string {
  const window = text.slice(0, max * 4 + windowMarginChars);
  const clean = redact(window).text;
  const isWhole = window.length === text.length;
  // At the edge of the window may stand the first half of a secret.
  const kept = (isWhole ? clean : clean.slice(0, Math.max(0, clean.length - windowMarginChars))).slice(0, max);
  const omittedChars = clean.length + text.length - window.length - kept.length;
  return omittedChars === 0 ? kept : `${kept} [cut, ${omittedChars} more characters]`;
}

/** A word of the client's (a tool, a model, a reason), redacted, on one line. */
export function label(text: string): string {
  return redactAndClip(text, limits.label).replaceAll(/\s+/g, " ");
}

/** An id as the client gave it; what cannot be one, or looks like a secret, is named by its digest: the same id always alike. */
export function idOf(given: string): string {
  return /^[\w.:@-]{1,200}$/.test(given) && redact(given).count === 0 ? given : `id_${digest(given)}`;
}

/** A path as it is stored: what it names is read elsewhere, so a redacted one only cannot be opened later. */
export function pathOf(given: string): string {
  return given.length <= limits.path ? redact(given).text : redactAndClip(given, limits.path);
}

export function digest(text: string): string {
  return createHash("sha1").update(text).digest("hex").slice(0, 16);
}
