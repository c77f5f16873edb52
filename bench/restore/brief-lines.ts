/** A brief as the judge reads it: lines, each with what labels it. Nothing here knows a format. */

export interface Line {
  /** Without list marks, in lower case. */
  readonly text: string;
  /** What heads the list or paragraph that the line is in; "" where nothing does. */
  readonly heading: string;
  /** Number of the heading: lines of one list share it. */
  readonly section: number;
}

const listMark = /^(\s*(?:[-*\u2022+]|\d{1,3}[.)])\s+|\s{2,})/;
const fullHeading = /^(?:#{1,6}\s.*|\*\*[^*]+\*\*:?|[^:]{1,120}:)$/;
const labelled = /^[^\s:|][^:|]{0,60}[:|]\s/;

export function linesOf(brief: string): Line[] {
  const lines: Line[] = [];
  let [heading, section] = ["", 0];
  for (const raw of brief.split("\n")) {
    const trimmed = raw.trim().toLowerCase();
    if (trimmed === "") continue;
    if (listMark.test(raw)) lines.push({ text: trimmed.replace(listMark, ""), heading, section });
    else if (fullHeading.test(trimmed)) {
      heading = trimmed.replaceAll(/[#*]|:$/g, "").trim();
      lines.push({ text: "", heading, section: ++section });
    } else {
      // A line with a label of its own begins something new; one without goes on with what was before.
      if (labelled.test(trimmed) || trimmed.startsWith("<")) {
        heading = labelled.test(trimmed) ? (trimmed.split(/[:|]/)[0] ?? "") : "";
        section++;
      }
      lines.push({ text: trimmed, heading, section });
    }
  }
  return lines;
}

export function hasAll(text: string, words: readonly string[]): boolean {
  return words.every((word) => text.includes(word.toLowerCase()));
}

/** What stands in front of the first of the words, up to the last colon, bar or dash before them, and the heading. */
export function labelOf({ text, heading }: Line, words: readonly string[]): string {
  const at = Math.min(
    ...words.map((word) => text.indexOf(word.toLowerCase())).filter((index) => index >= 0),
    text.length,
  );
  const before = text.slice(0, at);
  const prefix = /^(?<label>.{0,90}?)(?::|\||\u2014| - )/.exec(before)?.groups?.["label"] ?? "";
  return `${heading} \u00A7 ${prefix}`;
}

/** The sentence of the line in which the words stand; the whole line where they stand in several. */
export function sentenceOf(text: string, words: readonly string[]): string {
  return text.split(/(?<=[.;!?。])\s+/).find((sentence) => hasAll(sentence, words)) ?? text;
}

/** Whether the line is a turn of the conversation: who says something in it, not what SHIM says. */
export function isSpoken(line: Line, words: readonly string[]): boolean {
  const prefix = labelOf(line, words).split("\u00A7")[1] ?? "";
  return (
    /^\W*(?:\d+\W+)?(?:the )?(?:user|assistant|claude|chat|you)\b/.test(prefix) &&
    !/request|goal|next|error/.test(prefix)
  );
}
