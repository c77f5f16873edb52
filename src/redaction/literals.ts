import { matchAt, matchEnd } from "./findings.ts";
import type { Strength } from "./key-names.ts";
import { isHexOrUuid } from "./randomness.ts";
import type { Shape, Value } from "./values.ts";

interface Form {
  /** Groups: `open` precedes the value, `value`. */
  readonly pattern: RegExp;
  /** A name in code may stand there, too. */
  readonly isNameLikely?: true;
}

/** Letters and signs before a quote: `r"`, `b'`, `@"`, `$'`, `R"(`, `"""`. */
const prefix = "(?:[@$]{1,2}|[bBfFrRuUlLN]{1,2})?";
const string = String.raw`(?<open>${prefix}(?<quote>["'${"`"}]))(?<value>(?:(?!\k<quote>)[^\n\\]){4,400})\k<quote>`;

/** How languages write a string, other than in plain quotes. */
const forms: readonly Form[] = [
  // Python, TOML, Java, Swift, Kotlin: """value"""; Nix: ''value''
  { pattern: /(?<open>[bBfFrRuU]{0,2}(?<quote>"""|''')\s{0,40})(?<value>[^\s"']{4,400})\s{0,40}\k<quote>/y },
  // An empty string, and what follows it, is none: password:'',token:''
  { pattern: /(?<open>''\s{0,40})(?<value>\w[^\s"']{3,400})\s{0,40}''/y },
  // A shell, Spring: ${NAME:-value}
  { pattern: /(?<open>["']?\$\{[\w.]{1,60}:[-=]?)(?<value>[^\s"'{}$]{4,200})\}/y, isNameLikely: true },
  // C++: R"(value)"; Rust: r#"value"#
  { pattern: /(?<open>R"(?<tag>[A-Za-z_]{0,16})\()(?<value>[^\n)]{4,400})\)\k<tag>"/y },
  // Erlang: <<"value">>
  { pattern: /(?<open><<")(?<value>[^\n"\\]{4,400})">>/y },
  { pattern: /(?<open>b?r(?<tag>#{1,4})")(?<value>[^\n"]{4,400})"\k<tag>/y },
  // Python: r"value", f"value"; C#: @"value"; a shell: $'value'
  { pattern: new RegExp(String.raw`(?=[@$bBfFrRuUlLN])${string}`, "y") },
  // C++ and JSX: {"value"}
  { pattern: /(?<open>\{[ \t]?(?<quote>["'`]))(?<value>[^"'`\n\\]{4,400})\k<quote>[ \t]?\}/y, isNameLikely: true },
  // Lua: [[value]]; OCaml: {|value|}; Ruby, Perl, Elixir: %q(value), q{value}, ~s(value)
  { pattern: /(?<open>\[(?<tag>={0,4})\[)(?<value>[^\s[\]]{4,400})\]\k<tag>\]/y, isNameLikely: true },
  { pattern: /(?<open>\{(?<tag>[a-z_]{0,8})\|)(?<value>[^\s|]{4,400})\|\k<tag>\}/y, isNameLikely: true },
  { pattern: /(?<open>(?:%[qQ]?|~[sS]|qq?)[({[<|])(?<value>[^\s"'()[\]{}<>|]{4,400})[)}\]>|]/y, isNameLikely: true },
  // String::from("value"), Some("value"), SecretStr("value"), Field(default="value")
  {
    pattern: new RegExp(
      String.raw`(?<call>(?:new[ \t])?(?:std::|aws\.|ptr\.|pointer\.)?(?:String|string|str|bytes|to|To|str(?:ing)?Ptr|Box|Arc|Some|Just|Sensitive|Secret\w{0,20}|Secure\w{0,20}|Buffer|[Ff]ield|Optional|Value|\[\]byte)(?:(?:::|\.)\w{1,12})?\((?:\w{1,20}[ \t]?[:=][ \t]?)?)${string}`,
      "y",
    ),
  },
];

/** A pattern, or a template: `^[a-z]{8}$`, `{user}:{password}`. */
const notPlain = /^\^|\[\w-\w|\\[dws]|\{\w*\}/;

/** @returns null: no such string begins at `at`, or it is no plain text */
export function literalAt(text: string, at: number): Value | null {
  for (const { pattern, isNameLikely } of forms) {
    const groups = matchAt(pattern, text, at)?.groups;
    if (!groups) continue;
    const { call = "", open: opened = "", value = "" } = groups;
    if (notPlain.test(value)) return null;
    const start = at + call.length + opened.length;
    return { start, end: start + value.length, shape: isNameLikely ? "bare" : "quoted" };
  }
  return null;
}

const maxExpressionChars = 240;
const maxStrings = 8;
const plainString = /(["'`])((?:(?!\1)[^\n\\]){0,200})\1/y;
const strings = new RegExp(plainString.source, "g");
/** Reads at most 240 characters: an expression up to one value of several, or up to a default. */
const beforeChoice =
  /(?:\?:?|[{|*]|&&|[=-]>|\s:|\b(?:and|b64enc|default|else|or|return|then)|\b(?:default|value)[ \t]?[:=]|\bif[ \t]?\([^"'`]{1,80}\)|\bdefault\(|\.(?:orElse|or|unwrap_or\w{0,8}|getOrElse)\((?:\|_?\|[ \t])?(?:String::from\()?|\b(?:coalesce|lookup|try|sensitive|PASSWORD|atob|btoa|base64|bcrypt|Hash::make|useState|(?<![.\w])\w*[eE]ncode)\([^()]*)\s*$/;
/** `mkDefault "value"`, `T.pack "value"` */
const beforeApplied = /^\s*(?:[\w.-]{1,40}[ \t]{1,4}(?:-\w{1,20}[ \t])?)$/;
/** `decode("value")`, `f(name, "value")` */
const beforeArgument = /^\s*(?:(?:new|await)[ \t])?[A-Za-z_$][\w$.:]{0,60}\((?:[^()]*,)?[ \t]*(?:\w{1,20}=)?$/;
const continued = /\s*(?:[?|&]|:\s|else\b|or\b)/y;

/** The strings of an expression: `prod ? "a" : "b"`, `env.get("name") or "value"`. */
export function stringsIn(text: string, from: number, strength: Strength): Value[] {
  const expression = text.slice(from, endOfExpression(text, from));
  const isGiven = /=[ \t]{1,4}$/.test(text.slice(Math.max(0, from - 5), from));
  let choiceEnd = Infinity;
  return [...expression.matchAll(strings)].slice(0, maxStrings).flatMap(({ 0: quoted, 2: value = "", index }) => {
    const isElse = /^\s*:\s*$/.test(expression.slice(choiceEnd, index));
    const before = expression.slice(0, index);
    const end = index + quoted.length;
    const isKey = /[{,]\s*$/.test(before) && /^\s?:/.test(expression.slice(end, end + 2));
    const isChoice = isElse || (!isKey && isChoiceAfter(before, isGiven));
    if (isChoice) choiceEnd = end;
    if (!(isChoice || isArgumentAfter(before)) || notPlain.test(value)) return [];
    return [{ start: from + index + 1, end: from + end - 1, shape: shapeOf(value, strength, isChoice) }];
  });
}

function endOfExpression(text: string, from: number): number {
  const limit = Math.min(text.length, from + maxExpressionChars);
  let depth = 0;
  let at = from;
  for (; at < limit; at++) {
    const char = text.charAt(at);
    if (/["'`]/.test(char)) {
      const end = matchEnd(plainString, text, at);
      if (end === null) return at;
      at = end - 1;
    } else if (isEndAt(text, at, depth)) return at;
    else if ("([{".includes(char)) depth += 1;
    else if (")]}".includes(char)) depth -= 1;
  }
  return at;
}

function isEndAt(text: string, at: number, depth: number): boolean {
  const char = text.charAt(at);
  if (depth > 0) return /[;\\]/.test(char);
  return /[;\\,)\]}]/.test(char) || (char === "\n" && matchEnd(continued, text, at) === null);
}

function isChoiceAfter(before: string, isGiven: boolean): boolean {
  return beforeChoice.test(before) || ((isGiven || before.startsWith(".")) && beforeApplied.test(before));
}

/** Not after `config.get(`, which has a name first. */
function isArgumentAfter(before: string): boolean {
  return beforeArgument.test(before) && !/\bget\w*\([ \t]*$/.test(before);
}

function shapeOf(value: string, strength: Strength, isChoice: boolean): Shape {
  if (strength !== "password" || (value.length >= 16 && isHexOrUuid(value))) return "bare";
  return isChoice ? "doubtful" : "spaced";
}
