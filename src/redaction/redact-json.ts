import type { InputOf, OperationName } from "../contract/operations.ts";
import { keyNameAt, tellingWordFrom, type Strength } from "./key-names.ts";
import { redact, redactAndClip } from "./redact.ts";
import { isSecretValue } from "./values.ts";

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
