import { styleText } from "node:util";
import { visible, visibleJson } from "../shared/visible-text.ts";
import type { Io } from "./io.ts";

/** Pure. Columns that texts take in a terminal. */

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
/** Blocks of East Asian Width W and F (UAX 11), and what is drawn as an emoji. */
const wide =
  /^(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}\uFE0F|[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uA960-\uA97C\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF01-\uFF60\uFFE0-\uFFE6]|[\u{17000}-\u{18DFF}\u{1B000}-\u{1B2FF}\u{20000}-\u{3FFFD}])/u;
const ascii = /^[ -~]*$/;

function graphemeWidth(grapheme: string): number {
  if (/^\p{M}+$/u.test(grapheme)) return 0;
  return wide.test(grapheme) ? 2 : 1;
}

export function textWidth(text: string): number {
  if (ascii.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment);
  return width;
}

/** The same of a text with colours, also before its screen has formatted it. */
export function shownWidth(text: string): number {
  // oxlint-disable-next-line no-control-regex -- ESC begins a colour
  return textWidth(text.replaceAll(/[\u001b\uE000-\uF8FF]\[[\d;]*m/g, ""));
}

export function padToWidth(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - textWidth(text)));
}

/** Its longest beginning that fits. */
function startOf(text: string, width: number): string {
  let taken = "";
  let left = width;
  for (const { segment } of graphemes.segment(text)) {
    left -= graphemeWidth(segment);
    if (left < 0) break;
    taken += segment;
  }
  return taken;
}

const mark = "...";

/** The end is left out, with a mark; a word is broken only where it fills half of the width. */
export function cutToWidth(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  const start = startOf(text, Math.max(0, width - mark.length));
  const words = start.replace(/ [^ ]*$/, " ");
  return (textWidth(words) * 2 > width ? words : start) + mark.slice(0, width);
}

/** The middle folders are left out, then the end of the last name. */
export function cutPathToWidth(path: string, width: number): string {
  if (textWidth(path) <= width) return path;
  const [first = "", ...names] = path.split("/");
  for (let from = 1; from < names.length; from++) {
    const shorter = [first, mark, ...names.slice(from)].join("/");
    if (textWidth(shorter) <= width) return shorter;
  }
  return cutToWidth(names.at(-1) ?? path, width);
}

/** Words with the blanks before them; code in backquotes is one, since it is copied as a whole. */
export function wordsIn(line: string): string[] {
  const joined = line.replaceAll(/`[^`]*`/g, (code) => code.replaceAll(" ", "\0"));
  return joined.split(/(?<=\S)(?= )/).map((word) => word.replaceAll("\0", " "));
}

/** Breaks a line between words, also a coloured one; a longer word has a line of its own. */
export function wrapLine(line: string, width: number, indent = "      "): string[] {
  if (shownWidth(line) <= width) return [line];
  const lines: string[] = [];
  let current = "";
  for (const word of wordsIn(line)) {
    if (current.trim() === "" || shownWidth(current + word) <= width) current += word;
    else {
      lines.push(current);
      current = indent + word.trimStart();
    }
  }
  return [...lines, current];
}

/** Rows of a terminal that a line takes: a word wider than the window continues in the next row. */
export function rowsOf(line: string, columns: number): number {
  return Math.max(1, Math.ceil(shownWidth(line) / columns));
}

/** Titles, prompts and errors come from chats, so they may hold anything. */

type TextFormat = "bold" | "dim" | "red" | "yellow" | "green" | "cyan";
export type Paint = (format: TextFormat, text: string) => string;

const colour = /[\uE000-\uF8FF](?=\[(?:[12]|22|3[0-9])m)/g;

export interface Screen {
  readonly paint: Paint;
  readonly format: (text: string) => string;
}

/**
 * Never colours against NO_COLOR (no-color.org: set and not empty). The mark of a
 * colour depends on the process's start time, so no stored text can know it.
 */
export function createScreen({ isTty, env, now }: Pick<Io, "isTty" | "env" | "now">): Screen {
  const isPlain = !isTty || Boolean(env["NO_COLOR"]) || env["TERM"] === "dumb";
  if (isPlain) return { paint: (_format, text) => text, format: safeText };
  // One of the 6,400 characters for private use.
  const mark = String.fromCharCode(0xe000 + (Math.trunc(now()) % 6_400));
  return {
    paint: (format, text) => styleText(format, safeText(text), { validateStream: false }).replaceAll("\u001b", mark),
    format: (text) => safeText(text).replaceAll(colour, (found) => (found === mark ? "\u001b" : found)),
  };
}

/** Stored text must not move the cursor, set the window's title, or hide what follows. */
export const safeText = visible;

/** JSON leaves some control characters unescaped, which a terminal would interpret. */
export function safeJson(data: unknown): string {
  return visibleJson(JSON.stringify(data, null, 2));
}

export function safeJsonLine(data: unknown): string {
  return visibleJson(JSON.stringify(data));
}

/** Lines of a diff that a question shows; `--diff` prints all. */
const maxDiffLines = 200;

function diffExcerpt(diff: string): string[] {
  const lines = diff.split("\n");
  const more = lines.length - maxDiffLines;
  return more > 0 ? [...lines.slice(0, maxDiffLines), `... ${more} lines more: --diff prints all`] : lines;
}

/** Files that a question or an answer names. */
const maxNamed = 50;

function named(heading: string, lines: readonly string[], whereAllAre: string): string[] {
  const more = lines.length - maxNamed;
  if (lines.length === 0) return [];
  return [`${heading}:`, ...lines.slice(0, maxNamed), ...(more > 0 ? [`  and ${more} more: ${whereAllAre}`] : [])];
}

type Reason = { readonly path: string; readonly reason: string };

/** Files with the reason of each, below a heading; none: no line. */
export function fileLines(heading: string, files: readonly Reason[]): string[] {
  return named(
    heading,
    files.map(({ path, reason }) => `  ${shownPath(path)}: ${reason}`),
    "--json lists all",
  );
}

const verbs = { changed: "put back", missing: "comes back", created: "is deleted" } as const;
type FileChange = { readonly path: string; readonly now: keyof typeof verbs };

/** Shown before a question: a diff, and what would become of each file. */
export function changeLines(diff: string, heading: string, changes: readonly FileChange[]): string[] {
  const lines = changes.map(({ path, now }) => `  ${shownPath(path)}: ${verbs[now]}`);
  return [...diffExcerpt(diff.trimEnd()), "", ...named(heading, lines, "--diff shows all")];
}

/** On one line: a line break or another control character in a path is escaped. */
export function shownPath(path: string): string {
  return path.replaceAll(/\p{Cc}/gu, (found) => JSON.stringify(found).slice(1, -1));
}

export function shortPath(path: string, home: string): string {
  const isInHome = home !== "" && (path === home || path.startsWith(`${home}/`));
  return shownPath(isInHome ? `~${path.slice(home.length)}` : path);
}
