import { isMarkerAt, matchAt, matchEnd, type Finding } from "./findings.ts";
import { keyNameAt, tellingWordFrom, type KeyName, type Strength, type TellingWord } from "./key-names.ts";
import { literalAt } from "./literals.ts";
import { isGibberish, isHexOrUuid, isRandom } from "./randomness.ts";
import { isSecretValue, ValueReader, type Unquoted, type Value } from "./values.ts";

interface TellingName extends KeyName {
  readonly before: string;
  readonly word: string;
}

interface Notation {
  /** First characters of `pattern`, for a quick choice. */
  readonly starts: string;
  readonly pattern: RegExp;
  /** Limits the notation to names of this strength. */
  readonly only?: Strength;
  readonly isHere?: (name: TellingName) => boolean;
  readonly isLiteral?: (name: TellingName, text: string) => boolean;
  readonly unquoted?: Unquoted;
  /** Nothing but the value can follow, so that a word with digits is enough. */
  readonly isClear?: true;
}

const aloneOnLine = /[^\s:={}[\]<>()"'`#,;-][^\s:={}[\]<>"'`,;]{5,63}[ \t]{0,8}(?:[\r\n]|\\[nr]|$)/;

const notations: readonly Notation[] = [
  // name: Type = "value"
  {
    starts: "\"'`?!: ",
    pattern:
      /["'`]?[?!]?(?:::?[ \t]{0,4}|[ \t]As[ \t])[A-Za-z_&[][\w.<>|[\]&'?*: ]{0,40}?=(?![=>])[ \t]{0,4}(?=(?:[\w$.:@]{0,40}[({[#=]{0,4}(?:\w{1,20}=)?)?["'`])/y,
  },
  // {"name": "DB_PASSWORD", "value": "..."}, in JSON, YAML and XML
  {
    starts: "\\\"'`,vV- \t\r\n",
    pattern: /\\{0,8}["'`]?,?(?:\s|\\{1,8}[nrt]){0,40}(?:- )?\\{0,8}["'`]?value\\{0,8}["'`]?[ \t]{0,4}[:=][ \t]{0,4}/iy,
  },
  // A prompt, and the answer on the next line
  {
    starts: " \t:：",
    pattern: new RegExp(
      String.raw`(?: for (?:key )?["']?[\w./@~-]{1,80}["']?)?[ \t]?[:：][ \t]{0,4}(?:\r?\n|\\r\\n|\\n)[ \t]{0,8}(?=${aloneOnLine.source})`,
      "y",
    ),
    only: "password",
    unquoted: "spaced",
    isClear: true,
  },
  // <input type="password" ... value="...">
  {
    starts: "\"' \t",
    only: "password",
    pattern: /(?<=type\s?=\s?["']?\w{4,12})["']?[^<>"']{0,8}(?:["'][^<>]{0,200}?)?\svalue\s?=\s?(?=["'])/iy,
  },
  // name = value, "name": "value", name["x"] := value, **name**: value, name 1: value; a list
  {
    starts: "\\\"'`[])}*?! \t:=：<",
    pattern:
      /\\{0,8}["'`]?[\])}*]{0,2}(?:\[\d{0,4}\])?[?!]?(?:[ \t]string|[ \t]\d{1,2})?[ \t]{0,20}(?::=|\?=|=>|<-|={1,3}|[:：])(?!:)\*{0,2}[ \t]{0,20}(?:(?:\(|\[(?!=*\[))\s{0,8})?/y,
    isLiteral: isLiteralValue,
  },
  // set("name", "value"), ["--name", "value"]
  {
    starts: "\\\"'`",
    pattern: /\\{0,8}["'`][ \t]{0,4},\s{0,40}(?=\\{0,8}["'`])/y,
    isHere: ({ before }) =>
      /["'`]--?[\w-]*$/.test(before) ||
      /(?:set|put|add|append|header|env|property|attribute|store|define|update|insert)\w{0,20}\(\s*\\{0,8}["'`][\w.-]*$/i.test(
        before,
      ),
  },
  // withPassword("value"), but not a test's pass("...")
  { starts: "(", pattern: /\((?=\\{0,8}["'`])/y, isHere: ({ word }) => word.toLowerCase() !== "pass" },
  // A property list's <key>name</key><string>value</string>
  { starts: "<", pattern: /<\/key>\s{0,20}<string>/y, unquoted: "element" },
  // <name>value</name>
  {
    starts: ">",
    pattern: />(?=[^\s<(][^<\r\n]{0,400}<\/)/y,
    isHere: ({ before }) => /<[\w:.-]*$/.test(before),
    unquoted: "element",
  },
  // std::string name{"value"}
  { starts: "{", pattern: /(?=\{[ \t]?["'])/y },
  // WITH PASSWORD 'value', #define API_KEY "value", requirepass "value"; (def name "value")
  {
    starts: " \t*",
    pattern: /\*?[ \t]{1,4}(?=\\{0,8}["'])/y,
    isHere: (name) => {
      const { before, strength, word } = name;
      if (/\((?:def[a-z]*|setq|setf|define)[ \t]+[\w*+-]*$|(?:^|[\s{(]):[\w-]*$/.test(before)) return true;
      if (word.includes(" ")) return /\b(?:user|grant|role)\b/i.test(before);
      return word === word.toUpperCase() || (strength === "password" && isFirstOnLine(name));
    },
  },
  // --name value, Bearer value
  {
    starts: " \t",
    pattern: /[ \t](?=[^\s-])/y,
    isHere: ({ before, word }) => /(?:^|[\s"'`])--?[\w-]*$/.test(before) || word.toLowerCase() === "bearer",
  },
  // .netrc: machine host login user password value
  {
    starts: " \t\r\n",
    pattern: /\s{1,4}/y,
    isHere: ({ before }) => /\blogin\s+\S+\s+$/i.test(before),
    unquoted: "literal",
  },
  // ENV NAME value, setenv NAME value, set -gx NAME value
  {
    starts: " \t",
    pattern: /[ \t]{1,8}(?=[^\s=-])/y,
    isHere: ({ before }) => setting.test(before),
    unquoted: "literal",
  },
  // requirepass value, masterauth value: a line of its own in a settings file
  {
    starts: " \t",
    pattern: new RegExp(String.raw`[ \t]{1,8}["']?(?=${aloneOnLine.source})`, "y"),
    only: "password",
    isHere: isFirstOnLine,
    unquoted: "spaced",
    isClear: true,
  },
  // token value, psk value
  {
    starts: " \t",
    pattern: new RegExp(String.raw`[ \t]{1,8}["']?(?=${aloneOnLine.source})`, "y"),
    isHere: isFirstOnLine,
    unquoted: "spaced",
  },
  // tool ... password value
  {
    starts: " \t",
    pattern: /[ \t](?=[A-Za-z0-9])/y,
    only: "password",
    unquoted: "spaced",
  },
];

const byStart = new Map<string, Notation[]>();
for (const notation of notations) {
  for (const start of notation.starts) byStart.set(start, [...(byStart.get(start) ?? []), notation]);
}

const setting = /(?:^|[\r\n]|\\n|[;&|] ?)[ \t]*(?:ENV|ARG|setenv|setx|set(?: -{1,2}[a-z]{1,8}){1,4})[ \t]+[\w.-]*$/i;

const scheme = /\\{0,8}["'`]?(?:Bearer|Basic|Token|Digest|Api-?Key|Key|OAuth|JWT|SSWS|Splunk)(?:[ \t]|%20){1,4}/iy;
const nextItem = /\\{0,8}["'`]\s{0,4},\s{0,40}(?=\\{0,8}["'`])/y;

const lineStart =
  /(?:^|[\r\n]|\\[nr])[ \t>+-]{0,12}(?:\d{1,5}[:\t→])?[ \t]{0,8}(?:(?:export|env|arg|set|setx|declare|local|readonly)[ \t]{1,4}|\$env:)?["']?$/i;
const connection =
  /\b(?:server|host|data source|user id|uid|username|endpoint\w*|accountname|database|initial catalog)=/i;

export function assignments(text: string): Finding[] {
  const findings: Finding[] = [];
  let next = tellingWordFrom(text, 0);
  if (!next) return findings;
  const reader = new ValueReader(text);
  let scannedUntil = 0;
  for (; next; next = tellingWordFrom(text, Math.max(next.end, scannedUntil))) {
    const values = next.start < scannedUntil ? [] : valuesFrom(text, next, reader);
    findings.push(...values);
    scannedUntil = values.at(-1)?.end ?? scannedUntil;
  }
  return findings;
}

function valuesFrom(text: string, word: TellingWord, reader: ValueReader): Finding[] {
  const { start } = word;
  const key = keyNameAt(text, word);
  if (!key) return [];
  const before = text.slice(Math.max(0, start - 160), start);
  return valuesAt(text, { ...key, before, word: text.slice(start, key.end) }, reader);
}

interface ValueStart {
  readonly at: number;
  readonly unquoted: Unquoted;
  readonly isClear: boolean;
}

function valueStart(text: string, name: TellingName): ValueStart | null {
  for (const notation of byStart.get(text.charAt(name.end)) ?? []) {
    const { only = name.strength, pattern, isHere } = notation;
    const at = only === name.strength ? matchEnd(pattern, text, name.end) : null;
    if (at === null || isHere?.(name) === false) continue;
    const unquoted = notation.isLiteral?.(name, text) ? "literal" : (notation.unquoted ?? "bare");
    return { at, unquoted, isClear: (notation.isClear ?? false) || isOptionOrHeader(name) };
  }
  return null;
}

function isFirstOnLine({ before }: TellingName): boolean {
  return /(?:^|[\r\n]|\\n)[ \t]{0,20}[\w.-]*$/.test(before);
}

/** `--target-token`, `-storepass`, `-H "X-Api-Key`, `--set app.token`, `nmcli ... password`. */
function isOptionOrHeader({ before }: TellingName): boolean {
  if (/(?<![\w.-])nmcli [^\n|;&]{0,120}$/.test(before)) return true;
  const own = endOfName(before);
  const outside = before.slice(0, before.length - own.length);
  return own.startsWith("-") || /[ \t]-(?:H|-?[a-z][\w-]{0,30}[ =]|H )\\{0,8}["']?$/.test(outside.slice(-48));
}

/** Env files, shell and ini lines, connection strings. */
function isLiteralValue({ before, word, end }: TellingName, text: string): boolean {
  if (text.charAt(end) !== "=" || /[=\s]/.test(text.charAt(end + 1))) return false;
  const own = endOfName(before);
  const outside = before.slice(0, before.length - own.length);
  if (/^[A-Z0-9_]+$/.test(own + word)) return !/[?&]$/.test(outside);
  return lineStart.test(outside) || (/;\s?$/.test(outside) && connection.test(outside));
}

/** Walks back, since a pattern would start at each character. */
function endOfName(text: string): string {
  let start = text.length;
  while (start > 0 && /[\w.-]/.test(text.charAt(start - 1))) start -= 1;
  const isEscape = text.charAt(start - 1) === "\\" && /[nrt]/.test(text.charAt(start));
  return text.slice(isEscape ? start + 1 : start);
}

function valuesAt(text: string, name: TellingName, reader: ValueReader): Finding[] {
  const found = valueStart(text, name);
  if (!found) return findInProse(text, name);
  if (found.unquoted === "spaced") {
    const spaced = checkValue(text, reader.bare(found.at, "spaced"), name.strength, found.isClear);
    return spaced.length > 0 ? spaced : findInProse(text, name);
  }
  if (name.strength === "cookie") return cookieAt(text, found.at, reader);
  const phrase = name.strength === "mnemonic" ? phraseAt(text, found.at) : [];
  if (phrase.length > 0) return phrase;
  const credentials = name.strength === "password" ? null : matchEnd(scheme, text, found.at);
  if (credentials !== null) return checkValue(text, reader.bare(credentials, "bare"), "authorization", false);
  return readValues(text, found, name.strength, reader).flatMap((value) =>
    checkValue(text, value, name.strength, found.isClear),
  );
}

/** Reads only as many items of a list as a person would write. */
function readValues(text: string, found: ValueStart, strength: Strength, reader: ValueReader): Value[] {
  const isList = /[[(]$/.test(text.slice(Math.max(0, found.at - 9), found.at).trimEnd());
  const values: Value[] = [];
  let at: number | null = found.at;
  while (at !== null && values.length < 50) {
    const value: Value | null = literalAt(text, at, strength) ?? reader.read(at, found.unquoted);
    if (value) values.push(value);
    at = isList && value?.shape === "quoted" ? matchEnd(nextItem, text, value.end) : null;
  }
  return values;
}

export function checkValue(text: string, value: Value | null, strength: Strength, isClear: boolean): Finding[] {
  if (!value || isMarkerAt(text, value.start)) return [];
  const { start, end, shape } = codeValue(text, value);
  // A call or an index: the value is code.
  if ((shape === "bare" || shape === "spaced") && /[([]/.test(text.charAt(end))) return [];
  if (!isSecretValue(text.slice(start, Math.min(end, start + 600)), strength, shape, isClear || shape === "literal"))
    return [];
  return [{ start, end, kind: strength }];
}

/** `password=other,` is an argument in code, even at the start of a line. */
function codeValue(text: string, { start, end, shape }: Value): Value {
  return shape === "literal" && /[,;)]/.test(text.charAt(end - 1))
    ? { start, end: end - 1, shape: "bare" }
    : { start, end, shape };
}

function cookieAt(text: string, at: number, reader: ValueReader): Finding[] {
  const line = reader.line(/["'`]/.test(text.charAt(at)) ? at + 1 : at);
  if (!line || !isSecretValue(text.slice(line.start, line.end), "cookie", line.shape)) return [];
  return [{ start: line.start, end: line.end, kind: "cookie" }];
}

const phraseOfWords = /["'`]?((?:[a-z]{3,8}[ ,]{1,3}){11,23}[a-z]{3,8})(?![a-z])/y;

function phraseAt(text: string, at: number): Finding[] {
  const words = matchAt(phraseOfWords, text, at)?.[1];
  const end = phraseOfWords.lastIndex;
  return words === undefined ? [] : [{ start: end - words.length, end, kind: "mnemonic" }];
}

const statedPassword = /s?(?: for [\w.@-]{1,40})? (?:is|was|to|=|lautet|ist|est|es)(?: now)?:? ["'`]?(?=[^\s"'`]{5})/iy;
const nearToken = /[^\n\r\\{}<>;"'`]{0,60}?[ \t:=(]["'`]?(?=[A-Za-z0-9_+/-]{16})/y;
const tokenRun = /[\w+/.~-]+={0,2}/y;

/** "the password is ...", "here is my key for the staging server: ..." */
function findInProse(text: string, name: KeyName): Finding[] {
  return name.strength === "password" ? findStatedPassword(text, name.end) : findNearbyToken(text, name.end);
}

function findStatedPassword(text: string, from: number): Finding[] {
  const start = matchEnd(statedPassword, text, from);
  if (start === null) return [];
  const [value = ""] = /^[^\s"'`\\,;[\]]{5,200}/.exec(text.slice(start, start + 200)) ?? [];
  const isTelling = (/\d/.test(value) && /[A-Za-z]/.test(value)) || isGibberish(value);
  if (!isTelling || !isSecretValue(value.replace(/(?<![.):])[.):]+$/, ""), "password", "quoted")) return [];
  return [{ start, end: start + value.length, kind: "password" }];
}

function findNearbyToken(text: string, from: number): Finding[] {
  const start = matchEnd(nearToken, text, from);
  const end = start === null ? null : matchEnd(tokenRun, text, start);
  if (start === null || end === null) return [];
  const value = text.slice(start, Math.min(end, start + 512));
  const isSaid = /(?:\bis|[:=])\s?["'`]?$/.test(text.slice(start - 6, start));
  const isToken = isSaid ? isSecretValue(value, "token", "bare") : isRandom(value) && !isHexOrUuid(value);
  return isToken ? [{ start, end, kind: "token" }] : [];
}
