import { matchAt } from "./findings.ts";
import type { Strength } from "./key-names.ts";
import { isHexOrUuid } from "./randomness.ts";
import type { Shape, Value } from "./values.ts";

interface Form {
  /** Groups: `open` precedes the value, `value`. */
  readonly pattern: RegExp;
  /** The harmless text that may stand there, too: a name in code; in a call a label or a path. */
  readonly orElse?: "name" | "label";
}

const anyQuote = String.raw`\\{0,8}["'${"`"}]`;
/** Letters and signs before a quote: `r"`, `b'`, `@"`, `$'`, `R"(`, `"""`. */
const prefix = "(?:[@$]{1,2}|[bBfFrRuUlL]{1,2})?";
const string = String.raw`(?<open>${prefix}(?<quote>["'${"`"}]))(?<value>(?:(?!\k<quote>)[^\n\\]){4,400})\k<quote>`;

/** How languages write a string, other than in plain quotes. */
const forms: readonly Form[] = [
  // Python, TOML, Java, Swift, Kotlin: """value"""; Nix: ''value''
  { pattern: /(?<open>[bBfFrRuU]{0,2}(?<quote>"""|''')\s{0,40})(?<value>[^\s"']{4,400})\s{0,40}\k<quote>/y },
  // An empty string, and what follows it, is none: password:'',token:''
  { pattern: /(?<open>''\s{0,40})(?<value>\w[^\s"']{3,400})\s{0,40}''/y },
  // C++: R"(value)"; Rust: r#"value"#
  { pattern: /(?<open>R"(?<tag>[A-Za-z_]{0,16})\()(?<value>[^\n)]{4,400})\)\k<tag>"/y },
  { pattern: /(?<open>b?r(?<tag>#{1,4})")(?<value>[^\n"]{4,400})"\k<tag>/y },
  // Python: r"value", f"value"; C#: @"value"; a shell: $'value'
  { pattern: new RegExp(String.raw`(?=[@$bBfFrRuUlL])${string}`, "y") },
  // C++ and JSX: {"value"}
  { pattern: /(?<open>\{[ \t]?(?<quote>["'`]))(?<value>[^"'`\n\\]{4,400})\k<quote>[ \t]?\}/y, orElse: "name" },
  // Lua: [[value]]; OCaml: {|value|}; Ruby, Perl, Elixir: %q(value), q{value}, ~s(value)
  { pattern: /(?<open>\[(?<tag>={0,4})\[)(?<value>[^\s[\]]{4,400})\]\k<tag>\]/y, orElse: "name" },
  { pattern: /(?<open>\{(?<tag>[a-z_]{0,8})\|)(?<value>[^\s|]{4,400})\|\k<tag>\}/y, orElse: "name" },
  { pattern: /(?<open>(?:%[qQ]?|~[sS]|qq?)[({[<|])(?<value>[^\s"'()[\]{}<>|]{4,400})[)}\]>|]/y, orElse: "name" },
  // String::from("value"), Some("value"), SecretStr("value"), Field(default="value")
  {
    pattern: new RegExp(
      String.raw`(?<call>(?:new[ \t])?(?:std::)?(?:String|string|str|bytes|Some|Just|Sensitive|Secret\w{0,20}|Secure\w{0,20}|Buffer|[Ff]ield|Optional|Value)(?:(?:::|\.)\w{1,12})?\((?:\w{1,20}[ \t]?[:=][ \t]?)?)${string}`,
      "y",
    ),
  },
  // process.env.NAME || "value", os.environ["NAME"] or "value", options.name ?? "value"
  {
    pattern: new RegExp(
      String.raw`(?<call>[A-Za-z_$][\w$.?:]{0,80}(?:[[(]["']?[\w.-]{0,60}["']?[\])])?[ \t]{1,4}(?:\|\||\?\?|\?:|or)[ \t]{1,4})${string}`,
      "y",
    ),
    orElse: "label",
  },
  // a call: config.get("name", "value"), decode("value")
  {
    pattern: new RegExp(
      String.raw`(?<call>(?:new[ \t])?[A-Za-z_$][\w$.:]{0,60}\((?:${anyQuote}[\w.:-]{1,60}${anyQuote},[ \t]?|\w{1,20}[ \t]?[:=][ \t]?)?)${string}`,
      "y",
    ),
    orElse: "label",
  },
];

/** A pattern, or a template: `^[a-z]{8}$`, `{user}:{password}`. */
const notPlain = /^\^|\[\w-\w|\\[dws]|\{\w*\}/;

/** @returns null: no such string begins at `at`, or it is no plain text */
export function literalAt(text: string, at: number, strength: Strength): Value | null {
  for (const { pattern, orElse } of forms) {
    const groups = matchAt(pattern, text, at)?.groups;
    if (!groups) continue;
    const { call = "", open: opened = "", value = "" } = groups;
    if (notPlain.test(value)) return null;
    const start = at + call.length + opened.length;
    const isDoubtful = orElse === "label" && strength === "password" && !isHexOrUuid(value);
    const shape: Shape = isDoubtful ? "spaced" : orElse ? "bare" : "quoted";
    return { start, end: start + value.length, shape };
  }
  return null;
}
