import { base62, base64, digits, hex, lower, upper, urlSafe, uuid } from "./secret-draw.ts";
import { draw, pick, type Draw } from "./secret-draw.ts";

/**
 * Secrets and look-alikes made of families: a name that says secret, a notation that joins a name to its value, and an alphabet that
 * the value is drawn from. All values are drawn from a seed, so no secret stands in the repository and no rule can be fitted to one.
 */

export interface SecretCase {
  readonly family: string;
  readonly text: string;
  /** What must be gone from the redacted text. */
  readonly secrets: readonly string[];
}

export interface HarmlessCase {
  readonly family: string;
  readonly text: string;
}

/** Joins a name and a value. `null`: this notation cannot hold such a name. */
export type Notation = readonly [label: string, write: (name: string, value: string) => string | null];

export interface Families {
  /** Names in words, such as `db password`; each is written in several spellings. */
  readonly passwords: readonly string[];
  readonly tokens: readonly string[];
  readonly notations: readonly Notation[];
}

const base32 = `${upper}234567`;

type Alphabet = readonly [label: string, value: (d: Draw) => string];

/** What issuers make tokens of. */
const alphabets: readonly Alphabet[] = [
  ["base32", (d) => d.chars(base32, pick(d, [16, 24, 32, 52]))],
  ["capitals and digits", (d) => d.chars(upper + digits, pick(d, [16, 20, 32, 40]))],
  ["lower case", (d) => d.chars(lower, pick(d, [20, 24, 32, 40]))],
  ["lower case and digits", (d) => d.chars(lower + digits, pick(d, [16, 24, 32, 40]))],
  ["letters", (d) => d.chars(lower + upper, pick(d, [20, 24, 32]))],
  ["base62", (d) => d.chars(base62, pick(d, [16, 22, 32, 43]))],
  ["base64", (d) => `${d.chars(base64, pick(d, [22, 43, 86]))}=`],
  ["base64url", (d) => d.chars(urlSafe, pick(d, [22, 32, 43]))],
  ["hex", (d) => d.chars(hex, pick(d, [32, 40, 64]))],
  ["uuid", uuid],
];

const passwordAlphabets: readonly Alphabet[] = [
  ["manager", (d) => `${d.chars(base62, 8)}${d.chars("!%*_+?.-", 1)}${d.chars(base62, 7)}`],
  ["short", (d) => `${d.chars(lower, 6)}${d.chars(digits, 3)}${d.chars("!*.+", 1)}`],
  ["base62", (d) => d.chars(base62, 14)],
  ["lower case", (d) => d.chars(lower, 24)],
];

/** `db password`: snake, kebab, camel, dotted, spaced, all capitals. */
function spellings(words: string): readonly string[] {
  const parts = words.split(" ");
  const camel = parts.map((part, at) => (at === 0 ? part : part.charAt(0).toUpperCase() + part.slice(1))).join("");
  const title = parts.map((part) => part.charAt(0).toUpperCase() + part.slice(1));
  return [
    parts.join("_"),
    parts.join("-"),
    camel,
    parts.join("."),
    parts.join("_").toUpperCase(),
    title.join("-"),
    title.join(" "),
  ];
}

/** Each name in each spelling with a few notations and alphabets. */
export function secretCases(families: Families, seed: number, each = 3): SecretCase[] {
  const d = draw(seed);
  return [
    ...named(d, "password", families.passwords, passwordAlphabets, families.notations, each),
    ...named(d, "token", families.tokens, alphabets, families.notations, each),
  ];
}

function named(
  d: Draw,
  kind: string,
  names: readonly string[],
  values: readonly Alphabet[],
  notations: readonly Notation[],
  each: number,
): SecretCase[] {
  return names.flatMap((words) =>
    spellings(words).flatMap((name) =>
      Array.from({ length: each }, () => {
        const [alphabet, make] = pick(d, values);
        const secret = make(d);
        const { label, text } = written(d, notations, name, secret);
        return { family: `${kind} / ${words} / ${label} / ${alphabet}`, text: amid(d, text), secrets: [secret] };
      }),
    ),
  );
}

function written(
  d: Draw,
  notations: readonly Notation[],
  name: string,
  value: string,
): { readonly label: string; readonly text: string } {
  for (;;) {
    const [label, write] = pick(d, notations);
    const text = write(name, value);
    if (text !== null) return { label: `${label}, ${name}`, text };
  }
}

const befores = ["", "\n", "$ cat notes\n", "Here is what it printed:\n\n", "-- \n"];
const afters = ["", "\n", "\nDone in 1.2 s.\n", "\n\nThat is all.", "\nexit 0\n"];

function amid(d: Draw, text: string): string {
  return `${pick(d, befores)}${text}${pick(d, afters)}`;
}

/** A name with a value that only stands in a secret's place. */
export function placeholderCases(
  families: Pick<Families, "passwords" | "tokens" | "notations">,
  values: readonly string[],
  seed: number,
): HarmlessCase[] {
  const d = draw(seed);
  return [...families.passwords, ...families.tokens].flatMap((words) =>
    values.map((value) => {
      const name = pick(d, spellings(words));
      const { label, text } = written(d, families.notations, name, value);
      return { family: `placeholder ${value} / ${label}`, text: amid(d, text) };
    }),
  );
}

/** A name in code. */
export function codeCases(
  names: readonly string[],
  lines: readonly ((name: string, other: string) => string)[],
  seed: number,
): HarmlessCase[] {
  const d = draw(seed);
  return names.flatMap((words) =>
    lines.map((line) => {
      const name = spellings(words)[pick(d, [0, 2, 2])] ?? words;
      const text = line(name, pick(d, ["user", "options", "request", "client"]));
      return { family: `code / ${text.slice(0, 40)}`, text: amid(d, text) };
    }),
  );
}

/** A plain name: one word, nothing that a shell, a header or a URL would have to quote. */
export const isPlain = (name: string): boolean => /^[\w.-]+$/.test(name);
export const isIdentifier = (name: string): boolean => /^\w+$/.test(name);
export const isOption = (name: string): boolean => /^[a-z-]+$/.test(name);
export const isEnv = (name: string): boolean => /^[A-Z_]+$/.test(name);
