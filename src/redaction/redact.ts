import { assignments } from "./assignments.ts";
import { replace, type Finding } from "./findings.ts";
import { keyNameAt, tellingWordFrom, type Strength } from "./key-names.ts";
import { privateKeys } from "./private-keys.ts";
import { stripPrivate } from "./private-text.ts";
import { knownTokens } from "./token-formats.ts";
import { urlCredentials } from "./url-credentials.ts";
import { isSecretValue } from "./values.ts";
import { webCommands } from "./web-commands.ts";

export interface RedactResult {
  readonly text: string;
  /** How many places were replaced. */
  readonly count: number;
  /** What was found, each kind once: `private`, or what stands in the markers. */
  readonly kinds: readonly string[];
}

/** Two passes are usual where something was found (the second finds nothing); more only in text made to be hard. */
const maxPasses = 6;

/**
 * Takes out what must never be stored: private text first, then secrets, each replaced by `[redacted:<kind>]`. All else
 * stays character for character. [RD1] to [RD10]; linear in the length of the text. Doing it again changes nothing.
 */
export function redact(text: string): RedactResult {
  const open = stripPrivate(text);
  const kinds = new Set<string>(open.count > 0 ? ["private"] : []);
  let current = open.text;
  let { count } = open;
  for (let pass = 0; pass < maxPasses; pass++) {
    const findings = findSecrets(current);
    if (findings.length === 0) break;
    const replaced = replace(current, findings, kinds);
    current = replaced.text;
    count += replaced.count;
  }
  return { text: current, count, kinds: [...kinds] };
}

const rules = [knownTokens, urlCredentials, webCommands, assignments];

function findSecrets(text: string): Finding[] {
  const findings = privateKeys(text);
  for (const rule of rules) findings.push(...rule(text));
  return findings;
}

export interface RedactedJson {
  readonly value: unknown;
  readonly count: number;
  readonly kinds: readonly string[];
}

/** Deeper than any tool writes; what lies below is left out, for it cannot be looked at. */
export const maxDepth = 64;
const tooDeepText = "[omitted: nested too deep]";

interface RedactionTotals {
  count: number;
  readonly kinds: Set<string>;
}

/**
 * Redacts every string of a JSON value, keys too, and returns a copy. [RD9] A string at a telling key (`password`, `apiKey`,
 * `authorization` ...) is masked whole unless it is a placeholder; so is the `value` beside a telling `name` or `key`.
 * What lies deeper than 64 levels is left out.
 *
 * @param value what `JSON.parse` answers
 */
export function redactJson(value: unknown): RedactedJson {
  const totals: RedactionTotals = { count: 0, kinds: new Set() };
  const copy = walk(value, { strength: null, depth: 0 }, totals);
  return { value: copy, count: totals.count, kinds: [...totals.kinds] };
}

interface WalkContext {
  readonly strength: Strength | null;
  readonly depth: number;
}

function walk(value: unknown, context: WalkContext, totals: RedactionTotals): unknown {
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

function redactString(value: string, strength: Strength | null, totals: RedactionTotals): string {
  const redacted = redact(value);
  // What is one known secret keeps its own mark; else a telling key hides the whole.
  const isWhole = /^\[(?:private|redacted:[\w-]+)\]$/.test(redacted.text);
  if (strength !== null && !isWhole && isSecretValue(value, strength, "quoted")) {
    totals.count += 1;
    totals.kinds.add(strength);
    return `[redacted:${strength}]`;
  }
  totals.count += redacted.count;
  for (const kind of redacted.kinds) totals.kinds.add(kind);
  return redacted.text;
}

function strengthOfName(entries: readonly (readonly [string, unknown])[]): Strength | null {
  const name = entries.find(([key, item]) => /^(?:name|key)$/i.test(key) && typeof item === "string")?.[1];
  return typeof name === "string" ? strengthOf(name) : null;
}

/** How much the whole of a key promises; the last telling word decides. */
function strengthOf(key: string): Strength | null {
  if (key.length > 128) return null;
  let strength: Strength | null = null;
  for (let word = tellingWordFrom(key, 0); word; word = tellingWordFrom(key, word.end)) {
    const name = keyNameAt(key, word);
    if (name && name.end === key.length) ({ strength } = name);
  }
  return strength;
}
