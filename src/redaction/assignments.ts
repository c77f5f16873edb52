import { isMarkerAt, matchAt, matchEnd, type Finding, type Rule } from "./findings.ts";
import { keyNameAt, rareParts, tellingWordFrom, type KeyName, type Strength, type TellingWord } from "./key-names.ts";
import { literalAt, stringsIn } from "./literals.ts";
import { valueStart, type TellingName, type ValueStart } from "./notations.ts";
import { isGibberish, isHexOrUuid, isRandom } from "./randomness.ts";
import { unescape } from "./unescape.ts";
import { isSecretValue, ValueReader, type Value } from "./values.ts";

const scheme = /\\{0,8}["'`]?(?:Bearer|Basic|Token|Digest|Api-?Key|Key|OAuth|JWT|SSWS|Splunk)(?:[ \t]|%20){1,4}/iy;
const nextLine = /["']?\r?\n[ \t]{0,40}-[ \t]{1,4}/y;
const nextItem = /\\{0,8}["'`]\s{0,4},\s{0,40}(?=\\{0,8}["'`])/y;

const continued = /\s{0,40}(?:[?:|&=!]|(?:if|unless|or|and|else)\b)/y;

/** Searched as given, and as code was before it became a JSON string. */
function findAssignments(text: string): Finding[] {
  const findings = assignmentsIn(text);
  const plain = unescape(text);
  if (!plain) return findings;
  const inside = assignmentsIn(plain.text, ({ start, end }) => plain.isChanged(start - 160, end + 400));
  for (const { start, end, kind } of inside) {
    // A quote that is escaped inside of a string does not end it.
    const isInQuotes = /["'`]/.test(plain.text.charAt(start - 1));
    if (isInQuotes && plain.charsAt(start - 1) !== plain.charsAt(end)) continue;
    findings.push({ start: plain.given(start), end: plain.given(end), kind });
  }
  return findings;
}

export const assignments: Rule = { marks: [rareParts], find: findAssignments };

function assignmentsIn(text: string, isSearched: (word: TellingWord) => boolean = () => true): Finding[] {
  const findings: Finding[] = [];
  const reader = new ValueReader(text);
  let scannedUntil = 0;
  let next = tellingWordFrom(text, 0);
  for (; next; next = tellingWordFrom(text, Math.max(next.end, scannedUntil))) {
    const values = next.start < scannedUntil || !isSearched(next) ? [] : valuesFrom(text, next, reader);
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

function valuesAt(text: string, name: TellingName, reader: ValueReader): Finding[] {
  return [...valueBefore(text, name), ...valuesAfter(text, name, reader)];
}

function valuesAfter(text: string, name: TellingName, reader: ValueReader): Finding[] {
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
  return readValues(text, found, reader).flatMap((value) => checkValue(text, value, found.strength, found.isClear));
}

/** Reads only as many items of a list as a person would write. */
function readValues(text: string, found: ValueStart, reader: ValueReader): Value[] {
  const before = text.slice(Math.max(0, found.at - 9), found.at).trimEnd();
  const isList = (found.isDoubtful ? /[[(,-]$/ : /[[(]$/).test(before);
  const values: Value[] = [];
  let at: number | null = found.at;
  while (at !== null && values.length < 50) {
    const value: Value | null = literalAt(text, at) ?? reader.read(at, found.unquoted);
    if (value) values.push(found.isDoubtful ? { ...value, shape: "doubtful" } : value);
    at = isList && value ? matchEnd(value.shape === "quoted" ? nextItem : nextLine, text, value.end) : null;
  }
  if (!found.isExpression) return values;
  const last = values.at(-1);
  if (text.startsWith("{{", found.at + 1)) return [...values, ...stringsIn(text, found.at + 1, found.strength)];
  if (last?.shape !== "quoted") return [...values, ...stringsIn(text, found.at, found.strength)];
  const rest = last.end + 1;
  return matchEnd(continued, text, rest) === null ? values : [...values, ...stringsIn(text, rest, found.strength)];
}

/** Reads at most 160 characters: what stands before a name. */
const stringBefore =
  /(?:(?<compares>(?:assert\w*|\w*cmp|\w*[eE]quals?)!?\(\s?(?:\w{1,8},\s)?))?(?<quote>["'])(?<value>(?:(?!\k<quote>)[^\n\\]){4,80})\k<quote>(?:\s?[=!]==?\s|\.equals\w{0,12}\(|(?<comma>,\s))[\w.$>-]{0,40}$/;

/** `if ("value" == name)`, `assertEquals("value", name)` */
function valueBefore(text: string, { before, strength, end, word }: TellingName): Finding[] {
  if (strength === "cookie" || !/[=(,]\s?[\w.$>-]{0,40}$/.test(before)) return [];
  const groups = stringBefore.exec(before)?.groups;
  if (!groups || (groups["comma"] !== undefined && groups["compares"] === undefined)) return [];
  const { value = "", quote = "" } = groups;
  const start = end - word.length - before.length + before.lastIndexOf(quote + value + quote) + 1;
  return checkValue(text, { start, end: start + value.length, shape: "doubtful" }, strength, false);
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
  return shape === "literal" && /[,;()]/.test(text.charAt(end - 1))
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

const statedPassword =
  /s?(?: (?:is|was|has been)(?: (?:generated|created|set|reset|changed))?)?(?: for [\w.@-]{1,40})?(?: (?:is|was|to|=|lautet|ist|est|es)(?: now)?:?|:) ["'`]?(?=[^\s"'`]{5})/iy;
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
