import { createHash } from "node:crypto";
import type { JournalEntry } from "../../contract/journal.ts";
import { redact } from "../../redaction/redact.ts";
import { textAt, type JsonObject } from "../../shared/json-fields.ts";
import { redactAndKeepEnds } from "./both-ends.ts";
import { chatWords } from "./harness-text.ts";

export interface KeyedEntry<Entry extends JournalEntry = JournalEntry> {
  readonly key: string;
  readonly entry: Entry;
}

export const limits = {
  /** A request stands before what was pasted, or after it. */
  prompt: { head: 8_000, tail: 4_000 },
  /** A long answer gives its status at the end. */
  assistant: { head: 2_000, tail: 4_000 },
  input: 300,
  error: 1_500,
  /** A summary ends with what is left to do. */
  summary: { head: 8_000, tail: 8_000 },
  unread: 16_000,
  plan: 2_000,
  label: 100,
  path: 4_096,
};

export function assistant(text: string): KeyedEntry<Extract<JournalEntry, { kind: "assistant" }>> | null {
  // A hook has the text without the blanks that it has in the transcript.
  const trimmed = chatWords(text).trim();
  if (!trimmed) return null;
  const kept = redactAndKeepEnds(trimmed, limits.assistant);
  return { key: `assistant:${digest(kept)}`, entry: { kind: "assistant", text: kept } };
}

/** [JO14] [TR211] @param id of the call or the row by which the user approved it */
export function approvedPlan(text: string, id: string): KeyedEntry<Extract<JournalEntry, { kind: "plan" }>> {
  return { key: `plan:${id}`, entry: { kind: "plan", text: redactAndClip(text.trim(), limits.plan) } };
}

/** Characters read beyond four times the limit; as many are dropped at the window's edge. */
const windowMarginChars = 4_000;

/** [JO3] Redacts before cutting, so that no secret is cut in two and missed. */
export function redactAndClip(text: string, max: number): string {
  const window = text.slice(0, max * 4 + windowMarginChars);
  const clean = redact(window).text;
  const isWhole = window.length === text.length;
  // The edge of the window may hold the first half of a secret.
  const kept = (isWhole ? clean : clean.slice(0, Math.max(0, clean.length - windowMarginChars))).slice(0, max);
  const omittedChars = clean.length + text.length - window.length - kept.length;
  return omittedChars === 0 ? kept : `${kept} [cut, ${omittedChars} more characters]`;
}

/** No tool writes deeper values. */
const maxDepth = 64;

/** [HO8] Redacts a text before it is cut, so that no secret is cut in two and missed. */
export function boundTexts(value: unknown, maxText: number, depth = 0): unknown {
  if (typeof value === "string") return value.length > maxText ? redactAndClip(value, maxText) : value;
  if (typeof value !== "object" || value === null) return value;
  if (depth > maxDepth) return null;
  if (Array.isArray(value)) return value.slice(0, 1_000).map((item) => boundTexts(item, maxText, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, boundTexts(inner, maxText, depth + 1)]),
  );
}

export function label(text: string): string {
  return redactAndClip(text, limits.label).replaceAll(/\s+/g, " ");
}

/** [HO6] Redacts a client's word for storage. */
export function wordAt(from: JsonObject | null, key: string, maxLength: number): string | null {
  const value = textAt(from, key, maxLength);
  return value === null ? null : label(value);
}

/** Replaces what cannot be an id, or resembles a secret, by its digest. */
export function idOf(given: string): string {
  return /^[\w.:@-]{1,200}$/.test(given) && redact(given).count === 0 ? given : `id_${digest(given)}`;
}

/** Redacts a path for storage; a redacted path only fails to open later. */
export function pathOf(given: string): string {
  return given.length <= limits.path ? redact(given).text : redactAndClip(given, limits.path);
}

export function digest(text: string): string {
  return createHash("sha1").update(text).digest("hex").slice(0, 16);
}
