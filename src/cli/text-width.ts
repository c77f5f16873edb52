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

/** The end is left out, with a mark. */
export function cutToWidth(text: string, width: number): string {
  return textWidth(text) <= width ? text : startOf(text, Math.max(0, width - mark.length)) + mark.slice(0, width);
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

/** Breaks a line between words, also a coloured one; a longer word has a line of its own. */
export function wrapLine(line: string, width: number, indent = "      "): string[] {
  if (shownWidth(line) <= width) return [line];
  const lines: string[] = [];
  let current = "";
  for (const word of line.split(/(?<=\S)(?= )/)) {
    if (current.trim() === "" || shownWidth(current + word) <= width) current += word;
    else {
      lines.push(current);
      current = indent + word.trimStart();
    }
  }
  return [...lines, current];
}
