/** Most of one end of a shortened text. */
export interface End {
  readonly chars: number;
  readonly lines: number;
}

/** A text whose middle may be left out. The parts have no mark, so that none is counted as text. */
export interface Shortened {
  readonly head: string;
  /** Size of the middle that was left out; null: the head is the whole text. */
  readonly left: { readonly chars: number; readonly lines: number } | null;
  readonly tail: string;
}

/** Pure. Keeps both ends: the last line may be the one that matters. Cuts no character in two. */
export function shorten(text: string, { head, tail }: { readonly head: End; readonly tail: End }): Shortened {
  const lines = text.split("\n");
  const headEnd = before(text, Math.min(head.chars, lines.slice(0, head.lines).join("\n").length));
  const tailStart = before(text, text.length - Math.min(tail.chars, lines.slice(-tail.lines).join("\n").length));
  // Nothing, or the break between two lines, stands between them.
  if (headEnd + 1 >= tailStart) return { head: text, left: null, tail: "" };
  const middle = text.slice(headEnd, tailStart);
  return {
    head: text.slice(0, headEnd),
    left: { chars: middle.length, lines: middle.replaceAll(/^\n|\n$/g, "").split("\n").length },
    tail: text.slice(tailStart),
  };
}

/** The position, or the one before it where a character of two halves would be cut. */
function before(text: string, at: number): number {
  return at > 0 && /^[\uD800-\uDBFF][\uDC00-\uDFFF]/.test(text.slice(at - 1, at + 1)) ? at - 1 : at;
}

/** The mark of a text that is stored without its whole, with what code around it needs. */
const mark = /(?:\n```)?[ \n]?\[cut, (\d{1,15}) more characters\](?:\n```)?\n?/g;

/** Stands in a stored text for so many characters. */
export function cutMark(chars: number): string {
  return `[cut, ${chars} more characters]`;
}

export function withoutMark(text: string): string {
  return text.replaceAll(mark, "");
}

/** Characters of a text before it was cut: an earlier mark is read, not counted. */
export function wholeLength(text: string): number {
  const left = [...text.matchAll(mark)].reduce((sum, [, chars]) => sum + Number(chars), 0);
  return withoutMark(text).length + left;
}

/** Pure. The beginning of a text; at most `max` characters, with the mark of what is left out. */
export function beginningOf(text: string, max: number): string {
  if (text.length <= max) return text;
  const room = Math.max(0, max - cutMark(wholeLength(text)).length - 1);
  const kept = text.slice(0, besideMark(text, before(text, room), "before"));
  return `${kept} ${cutMark(wholeLength(text.slice(kept.length)))}`;
}

/** The position; in a mark, which a cut there would break, the nearest one on a side of it. */
export function besideMark(text: string, at: number, side: "before" | "after"): number {
  const broken = [...text.matchAll(mark)].find(({ index, 0: { length } }) => index < at && at < index + length);
  if (broken === undefined) return at;
  return side === "before" ? broken.index : broken.index + broken[0].length;
}
