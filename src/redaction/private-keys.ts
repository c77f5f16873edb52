import { matchEnd, type Finding, type Rule } from "./findings.ts";

const begin = /-----BEGIN (?:[A-Z0-9]{2,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----/y;
const ending = /-----END (?:[A-Z0-9]{2,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----/y;
const beginMark = "-----BEGIN ";
const endMark = "-----END ";
/** A 16,384-bit RSA key has about 12,700 characters, plus escapes, line numbers and margins. */
const maxKeyChars = 32_768;
/** `12→`, `12->`, `file:12:`, `> `, `+` */
const margin = String.raw`(?:[\w./-]{1,100}:)?(?:\d{1,6}(?:\t|\\{1,8}t|→|->|[:|-]))?[ \t>+#*/|-]{0,12}`;
/** Line ends may be escaped once or more. */
const line = new RegExp(
  String.raw`(?:\s|\\+[nrt]|["',+]){0,40}${margin}(?:[A-Z][A-Za-z-]{2,12}: [^\n\\]{1,80}|[A-Za-z0-9+/=]{16,})`,
  "y",
);
const wholeLine = new RegExp(String.raw`^[ \t"']*${margin}[A-Za-z0-9+/=]{16,}$`);
const material = /[A-Za-z0-9+/]{40}/;

/**
 * Finds PEM (escaped, numbered or cut off), its base64, PuTTY, JSON web and XML keys. Public
 * keys, certificates and armour around a placeholder stay.
 */
export const privateKeys: readonly Rule[] = [
  {
    marks: ["-----"],
    find(text) {
      const armoured = findArmoured(text);
      return [...armoured, ...findWithoutBeginning(text, armoured)];
    },
  },
  // Base64 of `----`.
  { marks: ["LS0tLS"], find: findEncoded },
  { marks: ["-Lines"], find: puttyKeys },
  { marks: ["kty"], find: webKeys },
  { marks: ["<RSAKe"], find: xmlKeys },
];

function findArmoured(text: string): Finding[] {
  const findings: Finding[] = [];
  const next = { begin: 0, end: 0 };
  for (let at = text.indexOf(beginMark); at !== -1; at = text.indexOf(beginMark, Math.max(begin.lastIndex, at + 1))) {
    const body = matchEnd(begin, text, at);
    if (body === null) continue;
    // Each mark is searched only once it is passed, so many starts without an end stay linear.
    if (next.begin < body) next.begin = indexFrom(text, beginMark, body);
    if (next.end < body) next.end = indexFrom(text, endMark, body);
    const isClosed = next.end < next.begin && next.end - body < maxKeyChars;
    const end = isClosed ? endOfArmour(text, next.end) : endOfLines(text, body);
    if (!material.test(text.slice(body, end))) continue;
    findings.push({ start: at, end, kind: "private-key" });
    begin.lastIndex = end;
  }
  return findings;
}

function indexFrom(text: string, mark: string, from: number): number {
  const index = text.indexOf(mark, from);
  return index === -1 ? Infinity : index;
}

function endOfArmour(text: string, at: number): number {
  const dashes = text.slice(at + endMark.length, at + 80).indexOf("-----");
  return dashes === -1 ? at + endMark.length : at + endMark.length + dashes + 5;
}

function endOfLines(text: string, from: number): number {
  let end = from;
  for (let next: number | null = from; next !== null; next = matchEnd(line, text, end)) end = next;
  return end;
}

function findWithoutBeginning(text: string, known: readonly Finding[]): Finding[] {
  const findings: Finding[] = [];
  let scannedUntil = 0;
  let passed = 0;
  for (let index = text.indexOf(endMark); index !== -1; index = text.indexOf(endMark, index + 1)) {
    const end = matchEnd(ending, text, index);
    if (end === null) continue;
    while (findingAt(known, passed).end <= index) passed += 1;
    const start = findingAt(known, passed).start < index ? index : startOfLines(text, index, scannedUntil);
    if (material.test(text.slice(start, index))) findings.push({ start, end, kind: "private-key" });
    scannedUntil = end;
  }
  return findings;
}

function findingAt(findings: readonly Finding[], index: number): Pick<Finding, "start" | "end"> {
  return findings[index] ?? { start: Infinity, end: Infinity };
}

function startOfLines(text: string, end: number, from: number): number {
  let start = end;
  let above = breakBefore(text, end, from);
  while (above !== null) {
    const next = breakBefore(text, above.start, from);
    const lineStart = next?.end ?? from;
    if (above.start - lineStart > maxLineChars || !wholeLine.test(text.slice(lineStart, above.start))) break;
    start = lineStart;
    above = next;
  }
  return start;
}

const maxLineChars = 240;

function breakBefore(text: string, at: number, from: number): { readonly start: number; readonly end: number } | null {
  for (let i = at - 1; i >= Math.max(from, at - maxLineChars); i--) {
    if (text[i] === "\n") return { start: text[i - 1] === "\r" ? i - 1 : i, end: i + 1 };
    if (text[i] !== "n" || text[i - 1] !== "\\") continue;
    const start = beforeEscape(text, i, from);
    const isWithReturn = text[start - 1] === "r" && text[start - 2] === "\\";
    return { start: isWithReturn ? beforeEscape(text, start - 1, from) : start, end: i + 1 };
  }
  return null;
}

function beforeEscape(text: string, at: number, from: number): number {
  let start = at;
  while (start > Math.max(from, at - 16) && text[start - 1] === "\\") start -= 1;
  return start;
}

const encodedRun =
  /[A-Za-z0-9+/]{14,}={0,2}(?:(?:\r?\n|\\{1,4}n)[ \t]{0,20}[A-Za-z0-9+/]{60,76}={0,2}(?![A-Za-z0-9+/]))*(?:(?:\r?\n|\\{1,4}n)[ \t]{0,20}[A-Za-z0-9+/]{2,76}={1,2})?/y;

/** Base64 of PEM, as in a kubeconfig; a certificate's starts alike, and stays. */
function findEncoded(text: string): Finding[] {
  const findings: Finding[] = [];
  for (let at = text.indexOf("LS0tLS"); at !== -1; at = text.indexOf("LS0tLS", encodedRun.lastIndex)) {
    const end = matchEnd(encodedRun, text, at);
    if (end === null) break;
    if (/PRIVATE KEY/.test(decode(text.slice(at, at + 80)))) findings.push({ start: at, end, kind: "private-key" });
  }
  return findings;
}

function decode(text: string): string {
  const whole = /^[A-Za-z0-9+/]*/.exec(text)?.[0] ?? "";
  return atob(whole.slice(0, whole.length - (whole.length % 4)));
}

const puttyLines = /Private-Lines: \d{1,4}(?=\s|\\)/g;

function puttyKeys(text: string): Finding[] {
  const findings: Finding[] = [];
  let end = 0;
  for (const { index, 0: head } of text.matchAll(puttyLines)) {
    if (index < end) continue;
    const start = index + head.length;
    end = endOfLines(text, start);
    if (material.test(text.slice(start, end))) findings.push({ start, end, kind: "private-key" });
  }
  return findings;
}

const privateMember =
  /(?:[\s{,]|\\n)\\{0,8}["']?(?:d|p|q|dp|dq|qi|k)\\{0,8}["']?\s{0,8}:\s{0,8}\\{0,8}["']([\w-]{16,})/g;
const maxWebKeyChars = 8_192;

/** RFC 7517, 7518. Searches each object once. */
function webKeys(text: string): Finding[] {
  const findings: Finding[] = [];
  let scannedUntil = 0;
  for (let at = text.indexOf("kty"); at !== -1; at = text.indexOf("kty", Math.max(scannedUntil, at + 3))) {
    const low = Math.max(scannedUntil, at - maxWebKeyChars);
    const from = low + Math.max(0, text.slice(low, at).lastIndexOf("{"));
    const close = text.slice(at, at + maxWebKeyChars).indexOf("}");
    scannedUntil = close === -1 ? Math.min(text.length, at + maxWebKeyChars) : at + close;
    for (const { index, 0: member, 1: value = "" } of text.slice(from, scannedUntil).matchAll(privateMember)) {
      const end = from + index + member.length;
      findings.push({ start: end - value.length, end, kind: "private-key" });
    }
  }
  return findings;
}

const xmlMember = /<(?:D|P|Q|DP|DQ|InverseQ)>([A-Za-z0-9+/=\s]{16,})</g;

function xmlKeys(text: string): Finding[] {
  return [...text.matchAll(xmlMember)].map(({ index, 0: member, 1: value = "" }) => {
    const end = index + member.length - 1;
    return { start: end - value.length, end, kind: "private-key" };
  });
}
