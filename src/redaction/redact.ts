import type { InputOf, OperationName } from "../contract/operations.ts";
import { assignments } from "./assignments.ts";
import { replace, type Finding, type RedactResult, type Rule } from "./findings.ts";
import { keyNameAt, tellingWordFrom, type Strength } from "./key-names.ts";
import { privateKeys } from "./private-keys.ts";
import { knownTokens } from "./token-formats.ts";
import { userPasswords } from "./user-passwords.ts";
import { isSecretValue } from "./values.ts";

/** Two passes are usual where something was found; more only in a hostile text. */
const maxPasses = 6;

/** Replaces private text and secrets with markers. Linear and idempotent. */
export function redact(text: string): RedactResult {
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

export interface RedactedJson {
  readonly value: unknown;
  readonly count: number;
}

/** Deeper than any tool writes; deeper values are left out unread. */
export const maxDepth = 64;
const tooDeepText = "[omitted: nested too deep]";

/**
 * Redacts a copy, keys too. Masks a whole string at a telling key, or in `value` beside a
 * telling `name` or `key`, unless it is a placeholder.
 */
export function redactJson(value: unknown): RedactedJson {
  const totals = { count: 0 };
  const copy = walk(value, { strength: null, depth: 0 }, totals);
  return { value: copy, count: totals.count };
}

/** Sealed contents, and names beside tokens that the coordinator makes. */
const withoutTexts = /^(?:sync|tokens|workspaces)\./;

/** Same input, same redaction. */
export function redactInput<Name extends OperationName>(
  name: Name,
  input: InputOf<Name>,
): { readonly input: InputOf<Name>; readonly count: number } {
  if (withoutTexts.test(name)) return { input, count: 0 };
  const { value, count } = redactJson(input);
  return { input: value as InputOf<Name>, count };
}

interface WalkContext {
  readonly strength: Strength | null;
  readonly depth: number;
}

function walk(value: unknown, context: WalkContext, totals: { count: number }): unknown {
  if (typeof value === "string") return redactString(value, context.strength, totals);
  if (typeof value !== "object" || value === null) return value;
  if (context.depth >= maxDepth) return tooDeepText;
  const depth = context.depth + 1;
  if (Array.isArray(value)) return value.map((item) => walk(item, { strength: context.strength, depth }, totals));
  const entries = Object.entries(value);
  const nameStrength = strengthOfName(entries);
  return Object.fromEntries(
    entries.map(([key, item]) => {
      const strength = nameStrength !== null && /^(?:default)?value$/i.test(key) ? nameStrength : strengthOf(key);
      return [redactString(key, null, totals), walk(item, { strength, depth }, totals)];
    }),
  );
}

function redactString(value: string, strength: Strength | null, totals: { count: number }): string {
  const redacted = redact(value);
  // A known secret keeps its own marker; else a telling key hides the whole.
  const isWhole = /^\[(?:private|redacted:[\w-]+)\]$/.test(redacted.text);
  if (strength !== null && !isWhole && isSecretValue(value, strength, "quoted")) {
    totals.count += 1;
    return `[redacted:${strength}]`;
  }
  totals.count += redacted.count;
  return redacted.text;
}

function strengthOfName(entries: readonly (readonly [string, unknown])[]): Strength | null {
  const name = entries.find(([key, item]) => /^(?:name|key)$/i.test(key) && typeof item === "string")?.[1];
  return typeof name === "string" ? strengthOf(name) : null;
}

/** The last telling word decides. */
function strengthOf(key: string): Strength | null {
  if (key.length > 128) return null;
  let strength: Strength | null = null;
  for (let word = tellingWordFrom(key, 0); word; word = tellingWordFrom(key, word.end)) {
    const name = keyNameAt(key, word);
    if (name && name.end === key.length) ({ strength } = name);
  }
  return strength;
}
