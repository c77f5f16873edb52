import { isMarkerAt, matchAt, matchEnd } from "./findings.ts";
import type { Strength } from "./key-names.ts";
import { entropy, isGibberish, isHexOrUuid, isRandom, isWordy } from "./randomness.ts";

/** Labels, types, states, and what examples write. Compared whole, in lower case. */
const words = new Set(
  `pass password passwd passphrase passcode pwd secret token key apikey auth authorization credential credentials bearer
  passwort kennwort contraseña senha wachtwoord adgangskode passord salasana heslo geslo lozinka parola sandi motdepasse
  string str number integer boolean bool bytes object any unknown text varchar char null nil none undefined void never
  true false yes no on off required optional hidden invalid missing empty unset default disabled enabled public private
  expired revoked valid masked hashed encrypted plaintext plain field input label value values test testing tests demo
  foo bar baz hello world abc user username admin root guest login signin signup register reset change forgot
  inherit auto basic digest oauth oauth2 oidc saml jwt pat mtls apikeyauth session cookie cookies header query body
  include omit same-origin changeit secretkey`.split(/\s+/),
);

/** Fewer than one in ten thousand random tokens of 64 characters contain one of these. */
const parts =
  /example|sample|placeholder|your[-_ ]|[-_ ]your|^your|change[-_ ]?me|replace[-_ ]?(?:me|with|this)|dummy|fake|\btodo\b|fixme|redact|masked|insert|goes[-_ ]?here|[-_]here$|not[-_ ]?a[-_ ]?(?:real[-_ ]?)?secret|foobar|x{5}|\*{3}|•{3}|\.{3}|…|my[-_]?(?:super[-_]?)?(?:secret|token|password|api|key)|(?:secret|token|api|password)[-_]?(?:value|string)$|test[-_](?:secret|token|key|pass)|^<.*>$|keyboard cat|^abcdefgh/i;

/** Variables, templates, calls, references to a vault or a file. */
const references =
  /^(?:\$(?:[A-Z_][A-Z0-9_]*$|[a-z_]+$|[({[])|\{[\w.]*\}?$|%[\w()]+%?$|@(?:Microsoft|\w+$)|!(?:Ref|Sub|GetAtt|vault)|(?:process|os|import|env|config|cfg|settings|secrets|vars?|this|self|props|options|opts|args|params|req|request|res|response|ctx|context|data|user|account|local|module|module|std|System|Deno|Bun|ENV)\.[A-Za-z_]|(?:op|vault|ssm|awssm|gcpsm|keychain|file|env|secretref|ref\+\w+):|arn:aws|projects\/|https?:\/\/[^?]*$|(?:\.{0,2}|~|[A-Za-z]:)[\\/](?:[\w.@-]+[\\/])*[\w.@-]{0,40}\.[a-z]{1,5}$|\/(?:run|etc|var|home|usr|opt|tmp|mnt|secrets|root|Users)\/)/;
const interpolation = /\$\{|\{\{|<%|#\{/;

/** Keeps examples and configuration readable. */
export function isPlaceholder(value: string): boolean {
  if (value.length < 3 || /^(.)\1*$/su.test(value)) return true;
  if (isMarkerAt(value, 0)) return true;
  if (references.test(value) || interpolation.test(value)) return true;
  return value.length <= 64 && (words.has(value.toLowerCase()) || parts.test(value));
}

/**
 * literal: no variables, as in an env file. element: XML text. bare: may be a name in code. spaced:
 * only a blank precedes it, as in prose. doubtful: in quotes, and as likely a label or a name.
 */
export type Shape = "quoted" | "literal" | "element" | "bare" | "spaced" | "doubtful";
export type Unquoted = Exclude<Shape, "quoted" | "doubtful">;

export interface Value {
  readonly start: number;
  readonly end: number;
  readonly shape: Shape;
}

const maxQuotedChars = 8_192;
const opening = /(\\{0,8})(["'`])/y;
const bareRun = /[^\s"'`\\,;&|<>(){}[\]]+/y;
const literalRun = /[^\s"'`\\[\]]+/y;
const runs: Readonly<Record<Unquoted, RegExp>> = {
  literal: literalRun,
  element: /[^\s<]+/y,
  bare: bareRun,
  spaced: bareRun,
};
const restOfLine = /[^\r\n"'`\\[\]]{8,}/y;

/** Measures a run once even if many names point into it, which keeps hostile text linear. */
export class ValueReader {
  readonly #text: string;
  readonly #runs = new Map<Unquoted, { readonly from: number; readonly to: number }>();
  #lineEnd = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(at: number, unquoted: Unquoted): Value | null {
    const [quote, backslashes = "", mark = ""] = matchAt(opening, this.#text, at) ?? [];
    if (quote === undefined) return this.bare(at, unquoted);
    const start = at + quote.length;
    const end = quotedEnd(this.#text, start, mark, backslashes.length);
    return end === null ? this.bare(start, unquoted) : { start, end, shape: "quoted" };
  }

  line(start: number): Value | null {
    if (start < this.#lineEnd) return null;
    const end = matchEnd(restOfLine, this.#text, start);
    if (end === null) return null;
    this.#lineEnd = end;
    return { start, end, shape: "literal" };
  }

  bare(start: number, shape: Unquoted): Value | null {
    let run = this.#runs.get(shape);
    if (!run || start < run.from || start >= run.to)
      this.#runs.set(shape, (run = { from: start, to: matchEnd(runs[shape], this.#text, start) ?? start }));
    return run.to > start ? { start, end: run.to, shape } : null;
  }
}

/**
 * Inside a JSON string the closing quote has `depth` backslashes; more belong to the value, fewer
 * end an outer string. Null: not closed.
 */
function quotedEnd(text: string, start: number, mark: string, depth: number): number | null {
  const limit = Math.min(text.length, start + maxQuotedChars);
  let backslashes = 0;
  for (let i = start; i < limit; i++) {
    const char = text[i];
    if (char === "\n" && mark !== "`") return null;
    const isClosing = depth === 0 ? backslashes % 2 === 0 : backslashes <= depth;
    if (char === mark && isClosing) return i - Math.min(backslashes, depth);
    backslashes = char === "\\" ? backslashes + 1 : 0;
  }
  return null;
}

/** Enough to judge; keeps many names before one long run cheap. */
const maxJudgedChars = 160;

const secretWord = /pass|secret|token|key|credential|auth/i;
const sentence = /\b(?:must|your|the|is|are|please|enter|at least|characters?|and|or|for|with|not|to|of|a)\b/i;
const algorithm =
  /^(?:sha|base|md|argon|utf|pbkdf|scrypt|bcrypt|hs|rs|es|ps|aes|oauth|ed|p)-?\d[\w.]{0,6}(?:-[a-z]+){0,3}$|^(?:[~^]|[<>]=?)?v?\d+\.\d+\.\d+(?!\d)[\w.+-]*$/i;

/** @param isClear nothing else can be written here, so that a chosen word with digits is enough */
export function isSecretValue(value: string, strength: Strength, shape: Shape, isClear = false): boolean {
  if (strength === "cookie") return hasRandomPart(value);
  const short = value.slice(0, maxJudgedChars);
  const key = `${strength} ${shape} ${isClear} ${short}`;
  const known = judged.get(key) ?? isSecretText(short, strength, shape, isClear);
  if (judged.size >= maxJudged) judged.clear();
  judged.set(key, known);
  return known;
}

/** Logs repeat their values, and judging one takes much longer than finding it here. */
const judged = new Map<string, boolean>();
const maxJudged = 256;

function isSecretText(short: string, strength: Exclude<Strength, "cookie">, shape: Shape, isClear: boolean): boolean {
  if (isPlaceholder(short) || algorithm.test(short)) return false;
  if (isClear && isChosen(short, strength)) return true;
  if (shape === "spaced") return isMixedCharacters(short);
  if (shape !== "doubtful") return checksByStrength[strength](short, shape);
  if (strength !== "password") return checksByStrength[strength](short, "bare");
  return isMixedCharacters(short) || (isChosen(short, strength) && !isNameOfSecret(short.replace(/[-_]?\d$/, "")));
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const choosable = new Set<Strength>(["password", "secret", "token"]);

/** By a person, as `winter2024!`; not a name with parts, as `db-secret2` or `key1.pem`. */
function isChosen(value: string, strength: Strength): boolean {
  if (!choosable.has(strength)) return false;
  if (!/^[^\s/\\:,;()<>{}[\]|]{6,}$/.test(value) || isHexOrUuid(value)) return false;
  if (isNameOfSecret(value)) return false;
  if (!hasLetterAndDigit(value)) return isGibberish(value);
  return !/[-_.]/.test(value) || !isWordy(value);
}

const checksByStrength: Readonly<Record<Exclude<Strength, "cookie">, (value: string, shape: Shape) => boolean>> = {
  password: isPassword,
  secret: (value, shape) => isKeyOfOneWord(value, shape) || (shape === "quoted" && isDrawnFromKeyboard(value)),
  token: (value, shape) =>
    isTokenLike(value) || isBasicCredential(value) || (shape === "quoted" && isDrawnFromKeyboard(value)),
  key: (value, shape) => isRandomKey(value) || (shape === "quoted" && isDrawnFromKeyboard(value)),
  session: (value) => value.length >= 20 && isTokenLike(value) && !uuid.test(value) && !/^[a-z]{2,10}[_-]/.test(value),
  signature: (value) =>
    value.length >= 20 && /^[\w+/=.~%-]+$/.test(value) && (isHexOrUuid(value) || isRandomKey(value)),
  mnemonic: (value) =>
    /^(?:[a-z]{3,8}[ ,]+){11,}[a-z]{3,8}/.test(value) || isRandomKey(value) || /^[\da-f]{32,}$/i.test(value),
  authorization: (value) =>
    value.length >= 8 && (/\d/.test(value) || isBasicCredential(value) || isRandom(value) || isGibberish(value)),
};

function isPassword(value: string, shape: Shape): boolean {
  // Code after `prompt("Password: "`.
  if (value.length < 4 || isNameOfSecret(value) || /^\)[;,.)\s\\]/.test(value)) return false;
  if (/\s/.test(value)) return shape === "quoted" && /\d/.test(value) && !sentence.test(value);
  // A label in another language: letters, not all of them ASCII, and its punctuation.
  if (/^[\p{L}\p{M}\u3000-\u303f\uff00-\uff0f:?.-]+$/u.test(value) && /[^\p{ASCII}]/u.test(value)) return false;
  return shape !== "bare" || isBarePassword(value);
}

/** Unquoted words are likely code or prose, unless longer than any word. */
function isBarePassword(value: string): boolean {
  if (/^(?:0x[0-9a-fA-F]{1,8}|[\d.,%]+)$/.test(value)) return /^\d{6,}$/.test(value);
  const core = value.replace(/^[^A-Za-z0-9]+|(?<![^A-Za-z0-9])[^A-Za-z0-9]+$/g, "");
  const isMember =
    /^[A-Za-z_$][\w$]*(?:[?!]?[.:][A-Za-z_$][\w$]*)+$/.test(core) &&
    (isWordy(core) || (!/\d/.test(core) && !isGibberish(core)));
  const isWords = /^[A-Za-z_$.:-]*$/.test(core) && isWordy(core);
  return !isMember && !isWords && (/[^A-Za-z]/.test(core) || /^[a-z]{16,}$/.test(core) || isGibberish(core));
}

function isKeyOfOneWord(value: string, shape: Shape): boolean {
  if (!/^\S{8,}$/.test(value) || isNameOfSecret(value) || isDateOrNumber(value)) return false;
  const isName = isWordy(value);
  if (shape === "quoted")
    return isName ? /^[A-Za-z]+\d[A-Za-z0-9]*$/.test(value) : /\d/.test(value) || entropy(value) > 3;
  return shape !== "bare" || isTokenLike(value);
}

/** A contract's address, often called token, is public. */
const contract = /^0x[0-9a-fA-F]{40}$/;

/** Letters with digits that are no words, or letters that are no language. */
function isTokenLike(value: string): boolean {
  if (!/^[\w+/=.~:%-]{8,}$/.test(value) || isDateOrNumber(value) || contract.test(value)) return false;
  if (isHexOrUuid(value)) return hasLetterAndDigit(value);
  return !isWordy(value) && (hasLetterAndDigit(value) || isRandom(value) || isGibberish(value));
}

function hasLetterAndDigit(value: string): boolean {
  return /\d/.test(value) && /[A-Za-z]/.test(value);
}

function isRandomKey(value: string): boolean {
  return (
    value.length >= 20 &&
    /^[\w+/=.~:%-]+$/.test(value) &&
    !isHexOrUuid(value) &&
    (isRandom(value) || isGibberish(value))
  );
}

function isMixedCharacters(value: string): boolean {
  if (!/^\S{8,}$/.test(value) || !hasLetterAndDigit(value)) return false;
  if (/^[A-Za-z]{4,}\d{2,}[!?*.]?$/.test(value)) return true;
  if (isWordy(value) || isHexOrUuid(value)) return false;
  const changes = value.match(/(?<=[a-z])[^a-z]|(?<=[A-Z])[^A-Z]|(?<=\d)\D/g)?.length ?? 0;
  return changes >= Math.max(3, value.length * 0.3) && !/[/\\:()]/.test(value);
}

/** WordPress makes such keys; a pattern or a template is not one. */
function isDrawnFromKeyboard(value: string): boolean {
  if (value.length < 20 || entropy(value) < 4 || /\w-\w\]|\\[wds]|\$\{|\{\{|<\w|=>|\(\w*\)|^\/|\s{2}/.test(value))
    return false;
  const signs = new Set(value.match(/[^\w\s./:-]/g));
  return signs.size >= 3 && /\d/.test(value) && /[a-z]/.test(value) && /[A-Z]/.test(value) && !sentence.test(value);
}

function isDateOrNumber(value: string): boolean {
  return /^[\d.,:_-]+$/.test(value) || /^\d{4}-\d\d-\d\d/.test(value);
}

function isNameOfSecret(value: string): boolean {
  return /^(?:[A-Za-z_$][A-Za-z_$./: -]*|[A-Z_]+\d)$/.test(value) && secretWord.test(value);
}

/** Base64 of `user:password`, as Basic authorization and Docker's config.json have it. */
function isBasicCredential(value: string): boolean {
  if (!/^[A-Za-z0-9+/]{8,}={0,2}$/.test(value)) return false;
  const whole = value.slice(0, value.length - (value.replace(/(?<!=)=+$/, "").length % 4 === 1 ? 1 : 0));
  try {
    return /^(?=.+:.)[\x20-\x7e]+$/.test(atob(whole));
  } catch {
    return false;
  }
}

function hasRandomPart(value: string): boolean {
  return (value.match(/[A-Za-z0-9_%.+/=-]{16,}/g) ?? []).some((part) => {
    const value = part.slice(part.indexOf("=") + 1);
    return isRandom(value) || (value.length >= 16 && isHexOrUuid(value) && hasLetterAndDigit(value));
  });
}
