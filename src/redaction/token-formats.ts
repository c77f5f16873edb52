import { matchAt, matchEnd, type Finding } from "./findings.ts";
import { formats, pivots, type TokenFormat } from "./issuer-formats.ts";
import { isRandom } from "./randomness.ts";

interface FirstPass {
  readonly bySeparator: RegExp;
  readonly byPrefix: RegExp;
  readonly byStart: ReadonlyMap<string, readonly TokenFormat[]>;
}

let cachedFirstPass: FirstPass | undefined;
const tokenPatterns = new Map<TokenFormat, RegExp>();

/** Finding the rare separator first costs a third of trying each prefix everywhere. */
function firstPass(): FirstPass {
  if (cachedFirstPass) return cachedFirstPass;
  // Skips most pivots at once: lines of hyphens, ends of sentences, variables.
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
 * Longer first: backwards, `sb_secret_` would else match as `secret_`. Needs prefixes with a class,
 * since V8 sorts plain alternatives by their first character, in a lookbehind too.
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

/** The 40 characters after an AWS key id, as in the console's CSV file. */
const awsSecret = /["']?[\s,;:|]{1,4}["']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])/y;
/** Tokens found by a mark of at most six characters: V8 finds longer ones more slowly. */
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
      const end = matchEnd(token, text, Math.max(0, start));
      if (end !== null && isBoundary(text, start)) findings.push({ start, end, kind });
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
  const secret = matchAt(awsSecret, text, index)?.[1];
  if (!secret || !isRandom(secret)) return [];
  return [{ start: awsSecret.lastIndex - secret.length, end: awsSecret.lastIndex, kind: "aws-secret-key" }];
}

function tokenAt(text: string, start: number, rejectedUntil: Map<TokenFormat, number>): Finding | null {
  for (const format of firstPass().byStart.get(text.charAt(start)) ?? []) {
    if (start < (rejectedUntil.get(format) ?? 0)) continue;
    const value = matchAt(tokenPattern(format), text, start)?.[0];
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

function secretOffset(kind: string, value: string): number {
  return kind === "url-signature" ? value.indexOf("=") + 1 : 0;
}

/** Escape sequences, also written out as in JSON, and terminal colours are no part of a word. */
function isBoundary(text: string, index: number): boolean {
  if (index === 0 || !/[A-Za-z0-9]/.test(text.charAt(index - 1)) || /[:?&;-]/.test(text.charAt(index))) return true;
  return /\\(?:[nrtbf]|u[0-9a-fA-F]{4})$|%[0-9A-Fa-f]{2}$|\[[0-9;]{0,8}m$/.test(
    text.slice(Math.max(0, index - 10), index),
  );
}
