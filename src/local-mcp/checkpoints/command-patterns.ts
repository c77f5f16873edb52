import { matchesWildcard } from "../../shared/wildcard.ts";

/** Pure. The form of `checkpoint.beforeCommands`. */

type Matcher = (word: string) => boolean;

interface Subcommand {
  readonly matches: Matcher;
  /** After `**`: any words may stand before it. */
  readonly isAnywhere: boolean;
}

interface Pattern {
  readonly subcommands: readonly Subcommand[];
  readonly flags: readonly Matcher[];
  /** After `!`: words with which the command is harmless. */
  readonly exceptions: readonly Matcher[];
}

/** Most commands begin no pattern: they cost one lookup in the map. */
export interface PatternList {
  readonly texts: readonly string[];
  readonly byName: ReadonlyMap<string, readonly Pattern[]>;
  readonly others: readonly { readonly name: Matcher; readonly pattern: Pattern }[];
}

const cache = new WeakMap<readonly string[], PatternList>();

export function patternList(sources: readonly string[]): PatternList {
  const list = cache.get(sources) ?? readPatterns(sources);
  cache.set(sources, list);
  return list;
}

const textMark = /^text:\s*/i;

function readPatterns(sources: readonly string[]): PatternList {
  const byName = new Map<string, Pattern[]>();
  const others: { name: Matcher; pattern: Pattern }[] = [];
  for (const source of sources.filter((one) => !textMark.test(one))) {
    const words = source.trim().split(/\s+/);
    const names = words.find((word) => !isOption(word) && !isException(word)) ?? "";
    const pattern = readPattern(words.toSpliced(words.indexOf(names), 1));
    for (const name of names.toLowerCase().split("|")) {
      if (name.includes("*")) others.push({ name: glob(name), pattern });
      else byName.set(name, [...(byName.get(name) ?? []), pattern]);
    }
  }
  const texts = sources.filter((one) => textMark.test(one)).map((one) => one.replace(textMark, "").toLowerCase());
  return { texts, byName, others };
}

function readPattern(words: readonly string[]): Pattern {
  const plain = words.filter((word) => !isOption(word) && !isException(word));
  return {
    subcommands: plain.flatMap((word, at) =>
      word === "**" ? [] : [{ matches: matchAny(word, glob), isAnywhere: plain[at - 1] === "**" }],
    ),
    flags: words.filter(isOption).map((word) => matchAny(word, flagMatcher)),
    exceptions: words.filter(isException).map((word) => matchAny(word.slice(1), exceptionMatcher)),
  };
}

function isException(word: string): boolean {
  return word.startsWith("!") && word.length > 1;
}

/** Includes the options of Windows: `/s`, `/s/q`. */
function isOption(word: string): boolean {
  return word.startsWith("-") || /^(?:\/\w)+$/.test(word);
}

function matchAny(alternatives: string, toMatcher: (one: string) => Matcher): Matcher {
  const matchers = alternatives.split("|").map(toMatcher);
  return (word) => matchers.some((matches) => matches(word));
}

function glob(pattern: string): Matcher {
  return (word) => matchesWildcard(word, pattern);
}

function exceptionMatcher(pattern: string): Matcher {
  return isOption(pattern) ? flagMatcher(pattern) : glob(pattern);
}

/** Finds `-r` in `-fr`, `/s` in `/Q/S`, `--force` in `--force=yes`, `-Recurse` in `-rec`. */
function flagMatcher(flag: string): Matcher {
  if (/^-\w$/.test(flag)) return (word) => /^-\w+$/.test(word) && word.includes(flag.charAt(1));
  if (flag.startsWith("/")) return (word) => isOption(word) && word.toLowerCase().includes(flag);
  if (/^-[A-Z]/.test(flag)) {
    const whole = flag.toLowerCase();
    return (word) => word.length > 1 && whole.startsWith(word.toLowerCase());
  }
  return (word) => word === flag || word.startsWith(`${flag}=`);
}

/** Options with which programs only tell. */
const tellingOption = /^--(?:help|version|dry-?run(?:=(?!none$).*)?|pretend)$|^-(?:WhatIf|help)$/i;

/** @param name without its folder */
export function matchesAny(name: string, words: readonly string[], { byName, others }: PatternList): boolean {
  const isMatch = (pattern: Pattern): boolean => matches(words, pattern);
  const lower = name.toLowerCase().replace(/\.exe$/, "");
  const isFound = byName.get(lower)?.some(isMatch) || others.some((one) => one.name(lower) && isMatch(one.pattern));
  return isFound && !words.some((word) => tellingOption.test(word));
}

function matches(words: readonly string[], { subcommands, flags, exceptions }: Pattern): boolean {
  if (!hasSubcommands(words, subcommands)) return false;
  return flags.every((flag) => words.some(flag)) && !exceptions.some((exception) => words.some(exception));
}

/** Allows only options, and what may be the value of one, between the subcommands. */
function hasSubcommands(words: readonly string[], subcommands: readonly Subcommand[]): boolean {
  let matched = 0;
  let isAfterOption = false;
  for (const word of words) {
    const next = subcommands[matched];
    if (!next) return true;
    if (next.matches(word)) matched += 1;
    else if (!isOption(word) && !isAfterOption && !next.isAnywhere) return false;
    isAfterOption = word.startsWith("-") && !word.includes("=");
  }
  return matched === subcommands.length;
}
