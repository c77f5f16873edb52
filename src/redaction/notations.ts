import { matchEnd } from "./findings.ts";
import type { KeyName, Strength } from "./key-names.ts";
import type { Unquoted } from "./values.ts";

export interface TellingName extends KeyName {
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

const lineStart =
  /(?:^|[\r\n]|\\[nr])[ \t>+-]{0,12}(?:\d{1,5}[:\t→])?[ \t]{0,8}(?:(?:export|env|arg|set|setx|declare|local|readonly)[ \t]{1,4}|\$env:)?["']?$/i;
const connection =
  /\b(?:server|host|data source|user id|uid|username|endpoint\w*|accountname|database|initial catalog)=/i;

export interface ValueStart {
  readonly at: number;
  readonly unquoted: Unquoted;
  readonly isClear: boolean;
}

export function valueStart(text: string, name: TellingName): ValueStart | null {
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
  const rest = before.slice(0, before.length - own.length);
  return own.startsWith("-") || /[ \t]-(?:H|-?[a-z][\w-]{0,30}[ =]|H )\\{0,8}["']?$/.test(rest.slice(-48));
}

/** Env files, shell and ini lines, connection strings. */
function isLiteralValue({ before, word, end }: TellingName, text: string): boolean {
  if (text.charAt(end) !== "=" || /[=\s]/.test(text.charAt(end + 1))) return false;
  const own = endOfName(before);
  const rest = before.slice(0, before.length - own.length);
  if (/^[A-Z0-9_]+$/.test(own + word)) return !/[?&]$/.test(rest);
  return lineStart.test(rest) || (/;\s?$/.test(rest) && connection.test(rest));
}

/** Walks back, since a pattern would start at each character. */
function endOfName(text: string): string {
  let start = text.length;
  while (start > 0 && /[\w.-]/.test(text.charAt(start - 1))) start -= 1;
  const isEscape = text.charAt(start - 1) === "\\" && /[nrt]/.test(text.charAt(start));
  return text.slice(isEscape ? start + 1 : start);
}
