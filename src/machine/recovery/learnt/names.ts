/** Pure: names of a program in a text, and those that the text declares. */

/** Letters that one name may have: shorter ones are words, longer ones are keys and hashes. */
const chars = { least: 4, most: 60 };
const identifier = /[A-Za-z_$][\w$]*/g;
/** Several words in one: `stormHold`, `storm_hold`, `STORM_HOLD`, `StormHold`. */
const isCompound = /[a-z\d][A-Z]|[A-Za-z\d]_[A-Za-z\d]|^_[A-Za-z]/;
/** Hashes, ids and encoded data. */
const isData = /^[\da-f_]+$|\d{5}|[A-Z]{2}\d[a-z]|^(?:toolu|call|msg|req|ses|prt)_/i;

/** Names of several words, each once, in the order of the text. */
export function namesIn(text: string): Set<string> {
  const found = new Set<string>();
  for (const [name] of text.matchAll(identifier)) {
    const isName = name.length >= chars.least && name.length <= chars.most && isCompound.test(name);
    if (isName && !isData.test(name)) found.add(name);
  }
  return found;
}

const ofBlock =
  "function|func|fn|def|class|interface|type|enum|struct|trait|impl|union|record|namespace|module|mod|" +
  "macro_rules!|protocol|extension|fun|sub|proc|CREATE TABLE|create table";
const ofValue = "const|let|var|val|static";
const modifiers =
  "export|default|declare|public|private|protected|internal|static|async|abstract|override|final|pub|open";
const identifierPart = String.raw`(?<name>[A-Za-z_$][\w$]{2,59})`;
/** Before the name of a function Go has the receiver. */
const receiver = String.raw`(?:\([^()\n]{0,80}\)\s*)?`;

/** At the beginning of its line: what stands deeper in it is a mention, or a local of one line. */
const block = new RegExp(
  String.raw`^[ \t]{0,40}(?:(?:${modifiers})(?:\([^()\n]{0,20}\))?\s+){0,4}(?:${ofBlock})(?:\s*\*)?\s+${receiver}${identifierPart}`,
  "gm",
);
/** Not indented: an indented one is mostly a local. */
const value = new RegExp(String.raw`^(?:(?:${modifiers})\s+){0,3}(?:${ofValue})\s+(?:mut\s+)?${identifierPart}`, "gm");
/** A function of a class or an object, with its parameters and its block on one line. */
const method = new RegExp(
  String.raw`^[ \t]{1,40}(?:(?:${modifiers}|get|set|readonly|\*)\s+){0,4}#?${identifierPart}\s*(?:<[^\n]{0,80}>)?\([^\n]{0,200}\)[^\n;,=]{0,80}\{$`,
  "gm",
);
/** A field of an interface or a class, which ends its line, and one of a struct of Go or Rust. */
const field = new RegExp(
  String.raw`^[ \t]{1,40}(?:(?:${modifiers}|readonly)\s+){0,3}#?${identifierPart}[?!]?:[^\n,]{1,200};$|^[ \t]{1,40}(?:pub\s+)?(?<other>[A-Za-z_]\w{2,59}):?\s+[*[\]\w.<>]{2,60}(?:\s+\x60[^\x60\n]{0,120}\x60|,)?$`,
  "gm",
);
/** A key of a document of settings or data. */
const key = /^[ \t]{0,40}(?:["'](?<name>[\w$.-]{3,60})["']|(?<other>[A-Za-z_][\w.-]{2,59}))\s*[:=](?![:=])/gm;
const section = /^\[{1,2}(?<name>[\w."-]{3,60})\]{1,2}$/gm;
const heading = /^(?<name>#{1,4} [^\n#]{3,50})$/gm;
const documents = /\.(?:json[c5]?|ya?ml|toml|ini|cfg|conf|env|properties)$/i;
const texts = /\.(?:md|mdx|markdown|rst|txt)$/i;

const words: ReadonlySet<string> = new Set(
  "return const case default else import export from await async throw yield delete new true false null this self super"
    .concat(" if for while switch catch function with type class public private static")
    .split(" "),
);

/**
 * Declarations in the text of a file, by plain patterns: functions, types and their fields, values
 * of a module; keys of a document; headings, with their signs, of a text.
 */
export function declarationsIn(text: string, path: string): Set<string> {
  if (texts.test(path)) return matchesOf([heading], text);
  return matchesOf(documents.test(path) ? [key, section] : [block, value, method, field], text);
}

/** A mention that may be a declaration: also a local, or a field of a value. */
const assigned = new RegExp(
  String.raw`(?:\b(?:${ofValue})\s+|^[ \t]{0,40})${identifierPart}\s*(?:[?!]?:(?!:)|:=|=(?![=>]))`,
  "gm",
);

/** Names that a text declares or assigns: they are of the session, not of the platform. */
export function ownNamesIn(text: string): Set<string> {
  return matchesOf([block, value, method, field, key, assigned], text);
}

function matchesOf(patterns: readonly RegExp[], text: string): Set<string> {
  const found = new Set<string>();
  for (const pattern of patterns)
    for (const { groups } of text.matchAll(pattern)) {
      const name = (groups?.["name"] ?? groups?.["other"] ?? "").trim();
      if (name !== "" && !words.has(name)) found.add(name);
    }
  return found;
}
