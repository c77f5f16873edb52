export type LineEnds = "\n" | "\r\n";

/** Pure. @returns null for a text with no line end, or with both kinds */
export function lineEndsOf(text: string): LineEnds | null {
  const lf = text.split("\n").length - 1;
  const crlf = text.split("\r\n").length - 1;
  if (lf === 0 || (crlf > 0 && crlf < lf)) return null;
  return crlf > 0 ? "\r\n" : "\n";
}

/** Pure. */
export function withLineEnds(text: string, ends: LineEnds): string {
  return text.replaceAll(/\r?\n/g, ends);
}
