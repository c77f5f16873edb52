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
  /** A label or a name is as likely. */
  readonly isDoubtful?: true;
  /** The value may be an expression with strings in it. */
  readonly isExpression?: true;
  /** How strong the value is, where the notation says more than the name. */
  readonly strength?: Strength;
}

const aloneOnLine = /[^\s:={}[\]<>()"'`#,;-][^\s:={}[\]<>"'`,;]{5,63}[ \t]{0,8}(?:[\r\n]|\\[nr]|$)/;

/** Gives a value, or compares with one. `::` names a part of something, but in Jsonnet. */
const operator = String.raw`(?:::?=|\?\?=|\|\|=|[?+!]==?|!=|=>|<-|={1,3}|-c?(?:eq|ne)(?=[ \t])|LIKE(?= ')|\+?:{1,3}(?=[ \t]{1,4}["'])|[:：](?!:))`;
/** Reads at most 200 characters: what stands before a name. */
const isCompared =
  /(?:\w{0,20}cmp|\w{0,20}[eE]quals?|(?:compare|assert|verify|check|hash|match)\w{0,30}!?|eq)\((?:[\w.$]{1,40},\s)?[\w.$>-]{0,40}$/;

const notations: readonly Notation[] = [
  // name: Type = "value"
  {
    starts: "\"'`?!: ",
    isExpression: true,
    pattern:
      /["'`]?[?!]?[ \t]{0,12}(?:::?[ \t]{0,4}|[ \t]As[ \t])[A-Za-z_&[][\w.<>|[\]&'?*: ]{0,40}?=(?![=>])[ \t]{0,4}(?=(?:[\w$.:@]{0,40}[({[#=]{0,4}(?:\w{1,20}=)?)?["'`])/y,
  },
  // {"name": "DB_PASSWORD", "value": "..."}, in JSON, YAML and XML
  {
    starts: "\\\"'`,vV- \t\r\n",
    pattern:
      /\\{0,8}["'`]?,?(?:\s|\\{1,8}[nrt]){0,40}(?:- )?\\{0,8}["'`]?(?:default|value)\\{0,8}["'`]?[ \t]{0,4}[:=][ \t]{0,4}(?:[|>][+-]?\r?\n\s{1,40})?/iy,
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
    pattern: /(?<=type\s?=\s?["']?\w{4,12})["']?[^<>"']{0,8}(?:["'][^<>]{0,200}?)?\s(?:default)?value\s?=\s?(?=["'])/iy,
  },
  // The value in the lines below: YAML's blocks, Terraform's and Ruby's documents
  {
    starts: "\"' :=",
    pattern:
      /["']?[ \t]{0,20}[:=][ \t]{1,4}(?:!!\w{1,12}[ \t])?(?:[|>][+-]?\d?|<<[-~]?["']?\w{1,20}["']?)[ \t]{0,4}\r?\n[ \t]{0,40}/y,
    isClear: true,
  },
  // YAML: the first item of a list
  { starts: "\"':", pattern: /["']?:[ \t]{0,4}\r?\n[ \t]{0,40}-[ \t]{1,4}(?=["']?[^\s"'])/y, isDoubtful: true },
  // name: { type: string, default: "value" }, variable "name" { default = "value" }
  {
    starts: "\"'`:= ",
    pattern:
      /["'`]?(?:[ \t]{0,4}[:=])?[ \t]{0,4}\{(?:[^{}]{0,300}?[\s,])?["']?(?:default(?:_?[vV]alue)?|value)["']?[ \t]{0,12}[:=][ \t]{0,4}(?=["'])/y,
    isDoubtful: true,
  },
  {
    starts: "\"':",
    pattern:
      /["']?:[ \t]{0,4}\r?\n(?:[ \t]{1,40}\w{1,20}:[^\n]{0,100}\n){0,3}?[ \t]{1,40}(?:[dD]efault|value):[ \t]{1,4}(?=\S)/y,
    isDoubtful: true,
  },
  // option("--name", default="value")
  {
    starts: "\"'",
    pattern: /["'],[^()\n]{0,120}?[\s,(]default(?:_?[vV]alue)?[ \t]?=[ \t]?(?=["'])/y,
    isDoubtful: true,
  },
  // name:\n  "value"; of PHP: ["name"]=>\n  string(5) "value"
  {
    starts: "\"'] \t:=",
    pattern: /["']?\]?[ \t]{0,20}(?:=>|[:=])[ \t]{0,4}\r?\n[ \t]{0,40}(?:string\(\d{1,4}\)[ \t])?(?=["'])/y,
    isDoubtful: true,
  },
  // name() { return "value" }
  {
    starts: "(",
    pattern: /\([^()\n]{0,60}\)[^\n;{}=()"']{0,40}(?:\{|=>|:|=)\s{0,40}(?:return\s)?(?=["'`])/y,
    isDoubtful: true,
  },
  // RSpec: let(:name) { "value" }
  {
    starts: ")",
    pattern: /\)[ \t](?:\{|do\b)\s{1,20}(?=["'])/y,
    isDoubtful: true,
    isHere: ({ before }) => /\blet!?\(:\w*$/.test(before),
  },
  // C#: Name { get; set; } = "value"
  { starts: " ", pattern: /[ \t]\{[ \t]?get;[^{}\n]{0,40}\}[ \t]=[ \t](?=")/y },
  // Nix: { name ? "value" }
  { starts: " ", pattern: /[ \t]\?[ \t](?=["'][^"'\n]{0,200}["']\s{0,20}[,}])/y, isDoubtful: true },
  // name = value, "name": "value", name["x"] := value, **name**: value, name 1: value; a list
  {
    starts: "\\\"'`[])}*?!+| \t:=：<",
    pattern: new RegExp(
      String.raw`\\{0,8}["'\`]?[\])}*]{0,2}(?:\[\d{0,4}\])?[?!]?(?:[ \t](?:string|PROGMEM|\d{1,2}|(?:CONSTANT[ \t])?\w{4,9}\(\w{1,4}\)))?[ \t]{0,20}${operator}\*{0,2}[ \t]{0,20}(?:(?:!!\w{1,12}|!unsafe|&[\w-]{1,40})[ \t]{1,4}){0,2}(?:\(\w{3,9}\)[ \t]?|<\w{3,20}>)?(?:(?:\((?!\))|\[(?!=*\[|\]))\s{0,8})?`,
      "y",
    ),
    // Not `isShown ? "password" : "text"`, `case "password": return`.
    isHere: ({ before }) => !/(?:\?\s?|\bcase )\\{0,8}["'`][\w.-]*$/.test(before),
    isLiteral: isLiteralValue,
    isExpression: true,
  },
  // set("name", "value"), ["--name", "value"]
  {
    starts: "\\\"'`",
    pattern: /\\{0,8}["'`][ \t]{0,4},\s{0,40}(?=\\{0,8}["'`])/y,
    isHere: ({ before }) =>
      /["'`]--?[\w-]*$/.test(before) ||
      /(?:set|put|add|append|header|env|property|attribute|store|define|update|insert)\w{0,20}\(\s*\\{0,8}["'`][\w.#-]*$/i.test(
        before,
      ),
  },
  // get("name", "value"), ("name", "value"), {"name", "value"}
  {
    starts: "\\\"'`",
    pattern: /\\{0,8}["'`]\]?["'`]?[ \t]{0,4},\s{0,40}(?=\\{0,8}["'`])/y,
    isDoubtful: true,
    isHere: ({ before }) =>
      /(?:[gG]et|fetch|[oO]f|entry|Pair|[sS]tring\w?|fill|type|patch|attr|param|option)\w{0,20}\((?:[\w.&]{1,40},\s)?["'`][^"'`\s]{0,40}(?:=["'])?$/.test(
        before,
      ),
  },
  {
    starts: "\"'",
    pattern: /["'],[ \t]{0,4}(?=["'][^"'\n]{0,200}["'][ \t]?[)}\]])/y,
    isDoubtful: true,
    isHere: ({ before }) => /(?:^|[\s,([{"'=:])(?:[({]|\[\[)[ \t]?["'][\w.-]*$/.test(before),
  },
  // Kotlin: "name" to "value"
  { starts: '"', pattern: /"[ \t]to[ \t](?=")/y, isDoubtful: true },
  // Lisp: (setenv "name" "value")
  { starts: '"', pattern: /"[ \t](?=")/y, isHere: ({ before }) => /\((?:setenv|setf?|put)[ \t]"[\w.-]*$/.test(before) },
  // Capybara: fill_in :name, with: "value"
  { starts: "\"',", pattern: /["']?,[ \t]with:[ \t](?=["'])/y, isDoubtful: true },
  // Erlang: -define(NAME, "value")
  { starts: ",", pattern: /,[ \t]{0,4}(?:<<)?(?=["'])/y, isHere: ({ before }) => /-define\(\w*$/.test(before) },
  // strcmp(name, "value"); Erlang: {name, "value"}
  {
    starts: ",",
    pattern: /,[ \t]{0,4}(?:<<)?(?=["'])/y,
    isDoubtful: true,
    isHere: ({ before }) => isCompared.test(before) || /(?:^|[^\w$])\{\w*$/.test(before),
  },
  // name.equals("value"), expect(name).toBe("value")
  {
    starts: ".()",
    pattern:
      /(?:\(\))?\)?(?:\.not)?(?:\.to[ \t]|\.)(?:equals\w{0,16}|compareTo\w{0,12}|to(?:Be|Equal|StrictEqual)|isEqualTo|eq)[( ]\s{0,20}(?=["'`])/y,
    isDoubtful: true,
  },
  // name.set("value"), find("name").type("value"), env("NAME").unwrap_or("value")
  {
    starts: ".\"'`/])",
    pattern:
      /(?:["'`]|\/i?)?\]?["'`]?\){0,2}\.(?:value[ \t]?=[ \t]?|(?:set(?:_?[tT]ext|_?[vV]alue)?|fill|type(?:Text)?|send_?[kK]eys|val|default|unwrap_or\w{0,8}|orElse|getOrElse)\((?:\|_?\|[ \t])?(?:String::from\()?\s{0,20})(?=["'`])/y,
    isDoubtful: true,
  },
  // user.type(getByLabelText("name"), "value")
  {
    starts: "\"'/",
    pattern: /(?:["']|\/i?)\),[ \t](?=["'`])/y,
    isDoubtful: true,
    isHere: ({ before }) => /\.(?:type|fill|paste)\([\w.]{1,60}\(["'/][\w .^-]*$/.test(before),
  },
  // fireEvent.change(name, { target: { value: "value" } })
  { starts: ",", pattern: /,[ \t]\{[ \t]?target:[ \t]?\{[ \t]?value:[ \t]?(?=["'`])/y, isDoubtful: true },
  // auth("user", "value")
  {
    starts: "(",
    pattern: /\((?:["'`][^"'`\n]{1,64}["'`]|[\w.$]{1,64}),[ \t]{0,4}(?=["'`])/y,
    strength: "password",
    isHere: ({ word }) => /auth|pass|pw|credential/i.test(word),
    isDoubtful: true,
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
  // <name type="plain">value</name>
  {
    starts: " ",
    pattern: /[ \t][^<>\n]{0,80}>(?=[^\s<(][^<\r\n]{0,400}<\/)/y,
    isHere: ({ before }) => /<[\w:.-]*$/.test(before),
    unquoted: "element",
    isDoubtful: true,
  },
  // <name><![CDATA[value]]></name>
  { starts: ">", pattern: /><!\[CDATA\[/y },
  // <property name="name">value</property>, <setting name="name"><value>value</value>
  {
    starts: "\"'",
    pattern: /["'][^<>\n]{0,80}>(?:\s{0,20}<value>)?(?=[^\s<])/y,
    isHere: ({ before }) => /<[\w:.-]{1,40}[ \t][^<>]{0,80}(?:name|key|id)[ \t]?=[ \t]?["'][\w.-]*$/.test(before),
    unquoted: "element",
    isDoubtful: true,
  },
  // std::string name{"value"}
  { starts: "{", pattern: /(?=\{[ \t]?["'])/y },
  // WITH PASSWORD 'value', #define API_KEY "value", requirepass "value"; (def name "value")
  {
    starts: " \t*",
    pattern: /\*?[ \t]{1,4}(?:\(?[LN]?(?="))?(?=\\{0,8}["'])/y,
    isHere: (name) => {
      const { before, strength, word } = name;
      if (/\((?:def[a-z]*|setq|setf|define)[ \t]+[\w*+.-]*$|(?:^|[\s{(]):[\w.-]*$|#[ \t]?define[ \t]+\w*$/.test(before))
        return true;
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
  // IDENTIFIED BY value
  {
    starts: " ",
    pattern: /[ \t]{1,4}(?=[^\s"'])/y,
    isHere: ({ before, word }) => word.includes(" ") && /\b(?:create|alter|grant)\s[^;]{0,120}$/i.test(before),
    isClear: true,
  },
  // Tcl: set name {value}, set name "value", set name value
  {
    starts: " \t",
    pattern: /[ \t]{1,8}(?:\{(?=[^\s{}$[]{4,200}\})|(?=[^\s{$[-]))/y,
    only: "password",
    isHere: ({ before }) => /(?:^|[\n;[{"'])[ \t]*set[ \t]+[\w:]*$/.test(before),
    isClear: true,
  },
  // A shell: read name <<< "value"
  { starts: " ", pattern: /[ \t]<<<[ \t]?/y, isDoubtful: true },
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
  // the password "value"
  { starts: " ", pattern: /[ \t](?=["'`])/y, only: "password", isDoubtful: true },
  // Password - value
  { starts: " ", pattern: /[ \t][–—-][ \t]/y, only: "password", unquoted: "spaced" },
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

const setting = /(?:^|[\r\n"']|\\n|[;&|] ?)[ \t]*(?:ENV|ARG|setenv|setx|set(?: -{1,2}[a-z]{1,8}){1,4})[ \t]+[\w.-]*$/i;

const lineStart =
  /(?:^|[\r\n]|\\[nr])[ \t>+-]{0,12}(?:\d{1,5}[:\t→])?[ \t]{0,8}(?:(?:export|env|arg|set|setx|declare|local|readonly)[ \t]{1,4}|\$env:)?["']?$/i;
const connection =
  /\b(?:server|host|data source|user id|uid|username|endpoint\w*|accountname|database|initial catalog)=/i;

export interface ValueStart {
  readonly at: number;
  readonly unquoted: Unquoted;
  readonly strength: Strength;
  readonly isClear: boolean;
  readonly isDoubtful: boolean;
  readonly isExpression: boolean;
}

export function valueStart(text: string, name: TellingName): ValueStart | null {
  for (const notation of byStart.get(text.charAt(name.end)) ?? []) {
    const { only = name.strength, pattern, isHere } = notation;
    const at = only === name.strength ? matchEnd(pattern, text, name.end) : null;
    if (at !== null && isHere?.(name) !== false) return { at, ...valueOf(notation, name, text) };
  }
  return null;
}

function valueOf(notation: Notation, name: TellingName, text: string): Omit<ValueStart, "at"> {
  const { unquoted = "bare", strength = name.strength, isExpression = false } = notation;
  return {
    unquoted: notation.isLiteral?.(name, text) ? "literal" : unquoted,
    strength,
    isClear: notation.isClear === true || isOptionOrHeader(name),
    // The label of the second field is `Repeat` in some language.
    isDoubtful: notation.isDoubtful === true || /confirm|repeat|again/i.test(name.word),
    isExpression,
  };
}

function isFirstOnLine({ before }: TellingName): boolean {
  return /(?:^|[\r\n]|\\n)[ \t]{0,20}[\w.-]*$/.test(before);
}

/** `--target-token`, `-storepass`, `-H "X-Api-Key`, `--set app.token`, `nmcli ... password`. */
function isOptionOrHeader({ before }: TellingName): boolean {
  if (/(?<![\w.-])nmcli [^\n|;&]{0,120}$/.test(before)) return true;
  const nameStart = startOfName(before);
  const rest = before.slice(0, before.length - nameStart.length);
  return nameStart.startsWith("-") || /[ \t]-(?:H|-?[a-z][\w-]{0,30}[ =]|H )\\{0,8}["']?$/.test(rest.slice(-48));
}

/** Env files, shell and ini lines, connection strings. */
function isLiteralValue({ before, word, end }: TellingName, text: string): boolean {
  if (text.charAt(end) !== "=" || /[=\s]/.test(text.charAt(end + 1))) return false;
  const nameStart = startOfName(before);
  const rest = before.slice(0, before.length - nameStart.length);
  if (/^[A-Z0-9_]+$/.test(nameStart + word)) return !/[?&]$/.test(rest);
  return lineStart.test(rest) || (/;\s?$/.test(rest) && connection.test(rest));
}

/** The letters of a name before its telling word. A pattern would start at each character. */
function startOfName(text: string): string {
  let start = text.length;
  while (start > 0 && /[\w.-]/.test(text.charAt(start - 1))) start -= 1;
  const isEscape = text.charAt(start - 1) === "\\" && /[nrt]/.test(text.charAt(start));
  return text.slice(isEscape ? start + 1 : start);
}
