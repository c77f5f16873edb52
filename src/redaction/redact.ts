import { textAt, type JsonObject } from "../shared/json-fields.ts";
import { setNewest } from "../shared/set-newest.ts";
import { besideMark, cutMark, wholeLength, withoutMark } from "../shared/shorten.ts";
import { assignments } from "./assignments.ts";
import { replace, type Finding, type RedactResult, type Rule } from "./findings.ts";
import { privateKeys } from "./private-keys.ts";
import { knownTokens } from "./token-formats.ts";
import { userPasswords } from "./user-passwords.ts";

/** Two passes are usual where something was found; more only in a hostile text. */
const maxPasses = 6;

const maxClean = { texts: 256, chars: 512 };
/** Short texts without a secret: ids, folders and names come with each event. */
const clean = new Map<string, RedactResult>();

/**
 * Replaces private text and secrets with markers. Linear and idempotent. A short text that is
 * known to hold no secret is not searched again.
 */
export function redact(text: string): RedactResult {
  const known = text.length > maxClean.chars ? undefined : clean.get(text);
  if (known !== undefined) return known;
  const result = search(text);
  if (result.count === 0 && text.length <= maxClean.chars) setNewest(clean, text, result, maxClean.texts);
  return result;
}

function search(text: string): RedactResult {
  let { text: current, count } = stripPrivate(text);
  for (let pass = 0; pass < maxPasses; pass++) {
    const findings = findBy(rules, current);
    if (findings.length === 0) break;
    const replaced = replace(current, findings);
    current = replaced.text;
    count += replaced.count;
  }
  return { text: current, count };
}

/** Literal or as JSON encoders write it. The bound keeps a lone `<private ` cheap. */
const tag = /(?:<|\\u003c)(?:(\\?\/)private\s{0,20}|private(?:\s[^>]{0,300}?)?)(?<!\/)(?:>|\\u003e)/gi;

/** Tags nest and may have attributes; without a closing tag, the rest is private. */
export function stripPrivate(text: string): RedactResult {
  const parts: string[] = [];
  let keptUntil = 0;
  let depth = 0;
  let count = 0;
  let lastClosing: number | null = null;
  tag.lastIndex = 0;
  for (let match = tag.exec(text); match; match = tag.exec(text)) {
    if (match[1] !== undefined) {
      if (depth === 0) continue;
      depth -= 1;
      if (depth === 0) keptUntil = match.index + match[0].length;
    } else {
      lastClosing ??= text.toLowerCase().lastIndexOf("/private");
      if (lastClosing < match.index && isTypeArgument(text, match)) continue;
      if (depth === 0) {
        parts.push(text.slice(keptUntil, match.index), "[private]");
        count += 1;
      }
      depth += 1;
    }
  }
  if (count === 0) return { text, count };
  if (depth === 0) parts.push(text.slice(keptUntil));
  return { text: parts.join(""), count };
}

/** `Options<Private>` */
function isTypeArgument(text: string, { index, 0: found }: RegExpExecArray): boolean {
  return found.includes("Private") && /[\w$]/.test(text.charAt(index - 1));
}

/** Secrets by these rules; each looks further only where it finds one of its marks. */
export function findBy(rules: readonly Rule[], text: string): Finding[] {
  const isIn = (mark: string | RegExp): boolean =>
    typeof mark === "string" ? text.includes(mark) : text.search(mark) >= 0;
  return rules.flatMap(({ marks, find }) => (marks.some(isIn) ? find(text) : []));
}

const rules = [...privateKeys, ...knownTokens, ...userPasswords, assignments];

/** Characters read beyond four times the limit; as many are dropped at the window's edge. */
const windowMarginChars = 4_000;

/** Redacts before cutting, so that no secret is cut in two and missed. */
export function redactAndClip(text: string, max: number): string {
  const window = text.slice(0, max * 4 + windowMarginChars);
  const open = redact(window).text;
  const isWhole = window.length === text.length;
  // The edge of the window may hold the first half of a secret.
  const safe = isWhole ? open : open.slice(0, Math.max(0, open.length - windowMarginChars));
  if (isWhole && (safe.length <= max || withoutMark(safe).length <= max)) return safe;
  const kept = safe.slice(0, besideMark(safe, max, "before"));
  return `${kept} ${cutMark(wholeLength(open.slice(kept.length) + text.slice(window.length)))}`;
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
    const whole = redact(open).text;
    const max = ends.head + ends.tail;
    return whole.length <= max || withoutMark(whole).length <= max ? whole : joinEnds(whole, [whole, whole], ends);
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
