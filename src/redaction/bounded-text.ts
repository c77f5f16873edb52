import { besideMark, cutMark, wholeLength, withoutMark } from "../shared/shorten.ts";
import type { RedactResult } from "./findings.ts";
import { textAt, type JsonObject } from "../shared/json-fields.ts";
import { maxDepth, redact, stripPrivate } from "./redact.ts";

const maxClean = { texts: 256, chars: 512 };
/** Short texts without a secret, the newest last: ids, folders and names come with each event. */
const clean = new Set<string>();

/** Redacts; a short text that is known to hold no secret is not searched again. */
export function redactOnce(text: string): RedactResult {
  if (clean.has(text)) return { text, count: 0 };
  const result = redact(text);
  if (result.count > 0 || text.length > maxClean.chars) return result;
  const [oldest] = clean;
  if (oldest !== undefined && clean.size >= maxClean.texts) clean.delete(oldest);
  clean.add(text);
  return result;
}

/** Characters read beyond four times the limit; as many are dropped at the window's edge. */
const windowMarginChars = 4_000;

/** Redacts before cutting, so that no secret is cut in two and missed. */
export function redactAndClip(text: string, max: number): string {
  const window = text.slice(0, max * 4 + windowMarginChars);
  const open = redactOnce(window).text;
  const isWhole = window.length === text.length;
  // The edge of the window may hold the first half of a secret.
  const safe = isWhole ? open : open.slice(0, Math.max(0, open.length - windowMarginChars));
  if (isWhole && withoutMark(safe).length <= max) return safe;
  const kept = safe.slice(0, besideMark(safe, max, "before"));
  return `${kept} ${cutMark(wholeLength(open.slice(kept.length) + text.slice(window.length)))}`;
}

/** Redacts a text before it is cut, so that no secret is cut in two and missed. */
export function boundTexts(value: unknown, maxText: number, depth = 0): unknown {
  if (typeof value === "string") return value.length > maxText ? redactAndClip(value, maxText) : value;
  if (typeof value !== "object" || value === null) return value;
  if (depth > maxDepth) return null;
  if (Array.isArray(value)) return value.slice(0, 1_000).map((item) => boundTexts(item, maxText, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, boundTexts(inner, maxText, depth + 1)]),
  );
}

export const maxLabelChars = 100;

export function label(text: string): string {
  // Not `oneLine`: a name that is compared keeps what is not seen.
  return redactAndClip(text, maxLabelChars).replaceAll(/\s+/g, " ");
}

/** Redacts a client's word for storage. */
export function wordAt(from: JsonObject | null, key: string, maxLength: number): string | null {
  const value = textAt(from, key, maxLength);
  return value === null ? null : label(value);
}

interface Ends {
  /** Characters kept of the beginning. */
  readonly head: number;
  /** Characters kept of the end. */
  readonly tail: number;
}

/** The longest secret that redaction finds, a private key, with its margins. */
const maxSecretChars = 33_000;
/** Read beyond the kept characters: what is redacted may shrink a window to a quarter. */
const windowFactor = 4;

/** Keeps both ends of a long text, each redacted as a whole window before it is cut. */
export function redactAndKeepEnds(text: string, ends: Ends): string {
  const windowChars = (ends.head + ends.tail) * windowFactor + maxSecretChars;
  // A private part may begin in one window and end in the other.
  const open = text.length <= windowChars ? text : stripPrivate(text).text;
  if (open.length <= windowChars) {
    const clean = redact(open).text;
    return withoutMark(clean).length <= ends.head + ends.tail ? clean : joinEnds(clean, [clean, clean], ends);
  }
  // The edge of a window may hold half a secret.
  const start = redact(open.slice(0, windowChars)).text.slice(0, -maxSecretChars);
  const end = redact(open.slice(-windowChars)).text.slice(maxSecretChars);
  return joinEnds(open, [start, end], ends);
}

function joinEnds(all: string, [start, end]: readonly [string, string], ends: Ends): string {
  // A break may be part of a mark, which is then left out as a whole.
  const headAt = untilBreak(start.slice(0, besideMark(start, ends.head, "before"))).length;
  const head = start.slice(0, besideMark(start, headAt, "before"));
  const rest = ends.tail === 0 ? "" : end.slice(besideMark(end, Math.max(0, end.length - ends.tail), "after"));
  const tail = end.slice(besideMark(end, end.length - sinceBreak(rest).length, "after"));
  const isTailCode = isFenceOpen(all.slice(0, all.length - tail.length));
  return [
    head,
    ...(isFenceOpen(head) ? ["```"] : []),
    cutMark(wholeLength(all.slice(head.length, all.length - tail.length))),
    ...(isTailCode ? ["```"] : []),
    tail,
  ].join("\n");
}

function isFenceOpen(text: string): boolean {
  return (text.split("```").length - 1) % 2 === 1;
}

/** Half a sentence may say the opposite of the whole: "[never] restart the queue". */
const maxFragmentChars = 400;
const lineOrSentenceEnd = /\n|[.!?…]["')\]]?\s|[。！？]/g;

function untilBreak(text: string): string {
  const from = Math.max(0, text.length - maxFragmentChars);
  const last = [...text.slice(from).matchAll(lineOrSentenceEnd)].at(-1);
  return last ? text.slice(0, from + last.index + last[0].length).trimEnd() : text;
}

function sinceBreak(text: string): string {
  const first = text.slice(0, maxFragmentChars).search(lineOrSentenceEnd);
  if (first < 0) return text;
  const rest = text.slice(first);
  return rest.slice(rest.search(/(?<=[\n\s。！？])/)).trimStart();
}
