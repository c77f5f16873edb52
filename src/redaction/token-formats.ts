import type { Finding } from "./findings.ts";
import { formats, pivots, type TokenFormat } from "./issuer-formats.ts";
import { isRandom } from "./randomness.ts";

interface FirstPass {
  readonly bySeparator: RegExp;
  readonly byPrefix: RegExp;
  /** By the first character of what they match. */
  readonly byStart: ReadonlyMap<string, readonly TokenFormat[]>;
}

let cachedFirstPass: FirstPass | undefined;
const tokenPatterns = new Map<TokenFormat, RegExp>();

/**
 * The first pass, in two parts. Looking for the separator and then behind it costs a third of looking for each prefix at
 * each place, since few characters are separators.
 */
function firstPass(): FirstPass {
  if (cachedFirstPass) return cachedFirstPass;
  // Most pivots are passed over at once: those in lines of hyphens, at the end of a sentence, before a variable.
  const behind = pivots.map((end) => {
    const before = end === "\\." ? "[\\w-]" : "[A-Za-z0-9]";
    return `${end}(?<=${before}${end})(?<=(${alternation((prefix) => prefix.endsWith(end))}))`;
  });
  const byStart = new Map<string, TokenFormat[]>();
  for (const format of formats) {
    const starts = /^\[([^\]]+)\]/.exec(format.prefix)?.[1] ?? format.prefix.charAt(0);
    for (const start of starts) byStart.set(start, [...(byStart.get(start) ?? []), format]);
  }
  const byPrefix = new RegExp(
    alternation((prefix) => !pivots.some((end) => prefix.endsWith(end))),
    "g",
  );
  cachedFirstPass = { bySeparator: new RegExp(behind.join("|"), "g"), byPrefix, byStart };
  return cachedFirstPass;
}

/**
 * The longer first: looking backwards, `sb_secret_` would else be taken for `secret_`. The order holds only for prefixes that
 * are more than plain characters: V8 sorts plain alternatives by their first character, in a lookbehind too.
 */
function alternation(matchesPrefix: (prefix: string) => boolean): string {
  const prefixes = new Set(formats.map(({ prefix }) => prefix).filter(matchesPrefix));
  return [...prefixes].sort((a, b) => b.length - a.length).join("|");
}

function tokenPattern(format: TokenFormat): RegExp {
  const known = tokenPatterns.get(format) ?? format.token();
  tokenPatterns.set(format, known);
  return known;
}

/** The 40 characters that belong to an AWS key id, right after it, as in the console's CSV file. */
const awsSecret = /["']?[\s,;:|]{1,4}["']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])/y;
/**
 * Tokens whose mark stands `before` characters behind their beginning, or begins with a small letter. A mark has at most six characters: V8 finds
 * longer ones more slowly.
 */
const markedFormats = [
  { kind: "crates-token", mark: "cio", before: 0, token: /cio[A-Za-z0-9]{32}(?![A-Za-z0-9])/y },
  { kind: "databricks-token", mark: "dapi", before: 0, token: /dapi[0-9a-fA-F]{32}(?:-\d)?/y },
  { kind: "extended-private-key", mark: "xprv", before: 0, token: /xprv[1-9A-HJ-NP-Za-km-z]{100,112}/y },
  {
    kind: "azure-secret",
    mark: "Q~",
    before: 4,
    token: /(?<![\w~.-])[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}(?![\w~-])/y,
  },
  { kind: "terraform-token", mark: ".atlas", before: 14, token: /[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,}/y },
];

/** Tokens of known issuers, wherever they stand. [RD2] */
export function knownTokens(text: string): Finding[] {
  const { bySeparator, byPrefix } = firstPass();
  const findings: Finding[] = [];
  addTokens(text, bySeparator, findings);
  addTokens(text, byPrefix, findings);
  addMarked(text, findings);
  return findings;
}

function addMarked(text: string, findings: Finding[]): void {
  for (const { kind, mark, before, token } of markedFormats) {
    for (let at = text.indexOf(mark); at !== -1; at = text.indexOf(mark, Math.max(token.lastIndex, at + 1))) {
      const start = at - before;
      token.lastIndex = Math.max(0, start);
      if (!token.test(text) || !isBoundary(text, start)) continue;
      findings.push({ start, end: token.lastIndex, kind });
    }
  }
}

function addTokens(text: string, first: RegExp, findings: Finding[]): void {
  let rejectedUntil: Map<TokenFormat, number> | undefined;
  first.lastIndex = 0;
  for (let match = first.exec(text); match; match = first.exec(text)) {
    const behind = match.slice(1).find((group) => group !== undefined);
    const start = behind === undefined ? match.index : first.lastIndex - behind.length;
    const found = isBoundary(text, start) ? tokenAt(text, start, (rejectedUntil ??= new Map())) : null;
    if (!found) continue;
    findings.push(found);
    first.lastIndex = found.end;
    if (found.kind === "aws-access-key") findings.push(...awsSecretAfter(text, found.end));
  }
}

function awsSecretAfter(text: string, index: number): Finding[] {
  awsSecret.lastIndex = index;
  const secret = awsSecret.exec(text)?.[1];
  if (!secret || !isRandom(secret)) return [];
  return [{ start: awsSecret.lastIndex - secret.length, end: awsSecret.lastIndex, kind: "aws-secret-key" }];
}

/** `refused`: where the last match ended that was no token. A later one of its format inside it is not tried again. */
function tokenAt(text: string, start: number, rejectedUntil: Map<TokenFormat, number>): Finding | null {
  for (const format of firstPass().byStart.get(text.charAt(start)) ?? []) {
    if (start < (rejectedUntil.get(format) ?? 0)) continue;
    const pattern = tokenPattern(format);
    pattern.lastIndex = start;
    const value = pattern.exec(text)?.[0];
    if (value === undefined) continue;
    if (isAccepted(value, format)) {
      return { start: start + secretOffset(format.kind, value), end: start + value.length, kind: format.kind };
    }
    rejectedUntil.set(format, start + value.length);
  }
  return null;
}

function isAccepted(value: string, { isToken }: TokenFormat): boolean {
  return !/example|x{6}|\*{4}/i.test(value) && (isToken?.(value) ?? true);
}

/** What stands before the secret part and says where it belongs: kept, for it helps the reader. */
function secretOffset(kind: string, value: string): number {
  return kind === "url-signature" ? value.indexOf("=") + 1 : 0;
}

/** A token begins a word. A line end or an escape sequence written out, as in JSON, and a terminal colour are no part of a word. */
function isBoundary(text: string, index: number): boolean {
  if (index === 0 || !/[A-Za-z0-9]/.test(text.charAt(index - 1)) || /[:?&;-]/.test(text.charAt(index))) return true;
  return /\\(?:[nrtbf]|u[0-9a-fA-F]{4})$|%[0-9A-Fa-f]{2}$|\[[0-9;]{0,8}m$/.test(
    text.slice(Math.max(0, index - 10), index),
  );
}
