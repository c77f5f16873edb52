import type { Finding } from "./findings.ts";

const begin = /-----BEGIN (?:[A-Z0-9]{2,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----/g;
const endMark = "-----END ";
/** A 16,384-bit RSA key is about 12,700 characters; JSON escapes and comment signs come on top. */
const longestKey = 32_768;
/** One line of a key, in the file itself or with its line ends escaped once or more. */
const line = /(?:\s|\\+[nrt]|["'+>#*/,]){0,40}(?:[A-Z][A-Za-z-]{2,12}: [^\n\\]{1,80}|[A-Za-z0-9+/=]{16,})/y;
const material = /[A-Za-z0-9+/]{40}/;

/**
 * Private keys in PEM armour. [RD4] Also where line ends are escaped, as in a JSON string, and where the end was cut off.
 * Public keys, certificates and armour around a placeholder stay.
 */
export function privateKeys(text: string): Finding[] {
  const findings: Finding[] = [];
  if (!text.includes("-----BEGIN ")) return findings;
  const next = { begin: 0, end: 0 };
  begin.lastIndex = 0;
  for (let match = begin.exec(text); match; match = begin.exec(text)) {
    const body = begin.lastIndex;
    // Each mark is looked for only once it is passed, so many beginnings without an end stay linear.
    if (next.begin < body) next.begin = indexFrom(text, "-----BEGIN ", body);
    if (next.end < body) next.end = indexFrom(text, endMark, body);
    const isClosed = next.end < next.begin && next.end - body < longestKey;
    const end = isClosed ? endOfArmour(text, next.end) : endOfLines(text, body);
    if (!material.test(text.slice(body, end))) continue;
    findings.push({ start: match.index, end, kind: "private-key" });
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
  line.lastIndex = from;
  let end = from;
  while (line.test(text)) end = line.lastIndex;
  return end;
}
