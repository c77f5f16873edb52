const humpBoundary = /(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/;
const word = /^(?:[A-Za-z][a-z]{0,19}|[A-Z]{1,14}|\d{1,8}|[A-Za-z]{2,}\d{1,5}|[vV]\d{1,4})$/;

/** `my-app-2`, `getTokenFromHeader`, `src/auth/token.ts` */
export function isWordy(value: string): boolean {
  return value.split(/[^A-Za-z0-9]+/).every((part) => part === "" || isName(part)) && !isGibberish(value);
}

/** Common second letters after each letter, from `a`: about half of all pairs. */
const commonFollowers =
  "bcdfgiklmnprstuvwxyz abdeijlorstuy aceihkloqrstuy abdegijlmnorsuvwy abcdefghiklmnopqrstuvwxy aefilorstuy aeghilnorstuy aeimnortuwy abcdefgklmnopqrstvxz aeious aeilnorswy abcdefgiklmnoprstuvy abeilmnopsuy acdefgijklnoqstuvy abcdefghiklmnoprstuvwxyz aehiloprstuy lqsu abcdefgiklmnoprstuvwy abcefhiklmnopqrstuwy acehilmoprstuwyz abcdefgiklmnprstz aeiorsuy adehiklnorsy acehimoptuy abcdeilmnoprstw aeiloyzu"
    .split(" ")
    .map((letters) => new Set(letters));
const codeOfA = 97;

/** About half of random letter pairs are unusual, hardly any in words; needs six pairs. */
export function isGibberish(value: string): boolean {
  let pairs = 0;
  let unusual = 0;
  for (let i = 1; i < value.length; i++) {
    const before = value.charCodeAt(i - 1) | 32;
    const after = value.charCodeAt(i) | 32;
    if (!isLetter(value.charCodeAt(i - 1)) || !isLetter(value.charCodeAt(i))) continue;
    if (value.charCodeAt(i - 1) >= codeOfA && value.charCodeAt(i) < codeOfA) continue;
    pairs += 1;
    if (!commonFollowers[before - codeOfA]?.has(String.fromCharCode(after))) unusual += 1;
  }
  return pairs >= 6 && unusual >= Math.max(3, pairs * 0.22);
}

function isLetter(code: number): boolean {
  return (code >= 65 && code <= 90) || (code >= codeOfA && code <= 122);
}

/** Humps of a name are words; those of a random string have two or three characters. */
function isName(part: string): boolean {
  const words = part.split(humpBoundary);
  const minAverage = words.length <= 3 ? 3 : /\d/.test(part) ? 4.2 : 3.2;
  return words.every((one) => word.test(one)) && (words.length === 1 || part.length >= words.length * minAverage);
}

/** Shannon entropy in bits per character (Shannon 1948, H = -sum p log2 p). */
export function entropy(value: string): number {
  const counts = new Map<string, number>();
  for (const char of value) counts.set(char, (counts.get(char) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / value.length) * Math.log2(count / value.length);
  return bits;
}

interface CharacterCounts {
  readonly lower: number;
  readonly upper: number;
  readonly digits: number;
  /** Changes of class per character: near 0.6 in random base 62, near 0.2 in camel case. */
  readonly changes: number;
}

function countCharacters(value: string): CharacterCounts {
  const counts = { lower: 0, upper: 0, digits: 0, changes: 0 };
  let last: keyof typeof counts | null = null;
  for (const char of value) {
    const now = classOf(char);
    if (now === null) continue;
    counts[now] += 1;
    if (last !== null && last !== now) counts.changes += 1;
    last = now;
  }
  return counts;
}

function classOf(char: string): "lower" | "upper" | "digits" | null {
  if (char >= "a" && char <= "z") return "lower";
  if (char >= "A" && char <= "Z") return "upper";
  return char >= "0" && char <= "9" ? "digits" : null;
}

/** Needs 16 characters. Camel case, paths, versions and numbered words are not random. */
export function isRandom(value: string): boolean {
  if (value.length < 16 || entropy(value) < 3 || isWordy(value)) return false;
  const { lower, upper, digits, changes } = countCharacters(value);
  const length = lower + upper + digits;
  if (length < 14) return false;
  if (lower > 0 && upper > 0) return changes >= length * (digits > 0 ? 0.27 : 0.42);
  return digits >= length * 0.12 && changes >= length * 0.12;
}

/** Digits that stand for letters in a name. */
const letterDigits: Readonly<Record<string, string>> = { 0: "o", 1: "i", 3: "e", 4: "a", 5: "s", 7: "t", 8: "b" };

/** A part of 8 characters and more that no name has; not `jsmith2024` or `d4rkm4tter`. */
export function hasRandomWord(value: string): boolean {
  return value.split(/[^A-Za-z0-9]+/).some(isRandomWord);
}

function isRandomWord(part: string): boolean {
  const spelled = part.replaceAll(/(?<=[A-Za-z])[0134578](?=[A-Za-z])/g, (digit) => letterDigits[digit] ?? digit);
  if (part.length < 8 || isWordy(part) || isWordy(spelled)) return false;
  const { lower, upper, digits, changes } = countCharacters(part);
  if (lower > 0 && upper > 0) return changes >= part.length * (digits > 0 ? 0.3 : 0.42);
  return digits >= 3 && digits < part.length && changes >= part.length * 0.25;
}

/** Commits, digests and ids are as likely as secrets. */
export function isHexOrUuid(value: string): boolean {
  return /^(?:0x)?[0-9a-fA-F-]+$/.test(value);
}
