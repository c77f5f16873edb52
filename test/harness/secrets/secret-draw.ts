/** Random characters from a seed, and what secrets and their look-alikes are made of. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "#harness/clock/seeded-random.ts";

export interface Draw {
  /** A whole number from 0 to `below - 1`. */
  readonly int: (below: number) => number;
  /** `length` characters of an alphabet; holds a digit and a letter wherever the alphabet has both. */
  readonly chars: (alphabet: string, length: number) => string;
}

export function draw(seed: number): Draw {
  const next = seededRandom(seed);
  const int = (below: number): number => (next() * 2 ** 32) % below;
  const chars = (alphabet: string, length: number): string => {
    for (;;) {
      const value = Array.from({ length }, () => alphabet[int(alphabet.length)]).join("");
      if (length < 6 || hasBoth(value) || !hasBoth(alphabet)) return value;
    }
  };
  return { int, chars };
}

const hasBoth = (value: string): boolean => /\d/.test(value) && /[A-Za-z]/.test(value);

const digits = "0123456789";
export const lower = "abcdefghijklmnopqrstuvwxyz";
const upper = lower.toUpperCase();
export const hex = "0123456789abcdef";
export const base62 = upper + lower + digits;
export const base64 = `${base62}+/`;
const urlSafe = `${base62}-_`;
const symbols = "!#%*-_+=?.";

export const encode = (text: string): string => Buffer.from(text).toString("base64");
const encodeUrl = (text: string): string => Buffer.from(text).toString("base64url");

const uuid = ({ chars }: Draw): string => [8, 4, 4, 4, 12].map((length) => chars(hex, length)).join("-");

function jwt({ chars }: Draw): string {
  const payload = JSON.stringify({ sub: chars(digits, 8), name: chars(lower, 6), iat: 1_700_000_000 });
  return `${encodeUrl('{"alg":"HS256","typ":"JWT"}')}.${encodeUrl(payload)}.${chars(urlSafe, 43)}`;
}

/** A key in PEM armour with the given line end. */
export function pem({ chars }: Draw, label: string, eol = "\n"): string {
  const start = label.startsWith("OPENSSH") ? "b3BlbnNzaC1rZXktdjE" : "MIIEvQIBADANBgkq";
  const body = [start + chars(base64, 64 - start.length)];
  while (body.length < 12) body.push(chars(base64, 64));
  body.push(`${chars(base64, 42)}==`);
  return [`-----BEGIN ${label}-----`, ...body, `-----END ${label}-----`].join(eol);
}

/** A password as a manager makes it: letters, a digit, a symbol, nothing that needs quotes. */
export const password = ({ chars }: Draw): string => `${chars(base62, 7)}${chars(symbols, 1)}${chars(base62, 6)}`;

const plainWords = "summer winter welcome dragon monkey garden orange letmein hunter coffee".split(" ");

/** A password as people choose it: a word, digits, seldom a capital or a sign. */
function weak(d: Draw): string {
  const chosen = pick(d, plainWords);
  const named = d.int(3) === 0 ? chosen.charAt(0).toUpperCase() + chosen.slice(1) : chosen;
  return `${named}${d.chars(digits, 2 + d.int(3))}${d.int(4) === 0 ? "!" : ""}`;
}

/** Each line behind its number. */
export function numbered(text: string, number: (at: number) => string): string {
  const lines = text.split("\n").map((line, at) => `${number(at + 1)}${line}`);
  return lines.join("\n");
}

/** A pattern, in which `«hex 40»` stands for 40 characters of an alphabet or of those given, and `«uuid»` for a whole value; or a function. */
export type Pattern = string | ((d: Draw) => string);
/** What surrounds a secret, which is `§` in a pattern. */
export type Around = string | ((secret: string, d: Draw) => string);

export function drawn(d: Draw, pattern: Pattern): string {
  return typeof pattern === "string" ? filled(d, pattern, "") : pattern(d);
}

export function surrounded(d: Draw, around: Around, secret: string): string {
  return typeof around === "string" ? filled(d, around, secret) : around(secret, d);
}

export const pick = <T>(d: Draw, from: readonly T[]): T => from[d.int(from.length)] as T;

const mixed = { base32: `${upper}234567`, caps: upper + digits, low: lower + digits, letters: upper + lower };
const simple = { digits, lower, upper, hex, base62, base64, url: urlSafe };
const alphabets: Partial<Record<string, string>> = { ...simple, ...mixed };
const values: Partial<Record<string, (d: Draw) => string>> = { uuid, jwt, password, weak };

function filled(d: Draw, pattern: string, secret: string): string {
  return pattern.replaceAll(/«([^» ]+)(?: (\d+))?»|§/g, (sign, kind: string, length?: string) =>
    sign === "§" ? secret : (values[kind]?.(d) ?? d.chars(alphabets[kind] ?? kind, Number(length))),
  );
}

/** A form a line; ⏎ is a line end. */
export function formsIn(file: string): string[] {
  const lines = readFileSync(join(import.meta.dirname, file), "utf8")
    .split("\n")
    .filter(Boolean);
  return lines.map((line) => line.replaceAll("⏎", "\n"));
}
