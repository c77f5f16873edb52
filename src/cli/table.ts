import { cutPathToWidth, cutToWidth, padToWidth, textWidth, wordsIn, wrapLine } from "./screen-text.ts";

/** Pure. Rows in columns that fit a window; in one of endless width nothing is left out. */

type Fit = (text: string, width: number) => string[];

const maxCellLines = 3;

/** Breaks a cell between words; what does not fit into its lines is left out, with a mark. */
const wrapped: Fit = (text, width) => {
  const lines = wrapLine(text, width, "");
  const last = lines.slice(maxCellLines - 1).join(" ");
  return lines.length <= maxCellLines ? lines : [...lines.slice(0, maxCellLines - 1), cutToWidth(last, width)];
};
const cut: Fit = (text, width) => [cutToWidth(text, width)];
const cutPath: Fit = (path, width) => [cutPathToWidth(path, width)];

/** Columns that are cut to one line in a narrow window, down to a width; the others are wrapped. */
const oneLineColumns: Readonly<Record<string, { readonly least: number; readonly fit: Fit }>> = {
  PROJECT: { least: 12, fit: cutPath },
  "PROJECT THERE": { least: 13, fit: cutPath },
  TITLE: { least: 20, fit: cut },
  ABOUT: { least: 20, fit: cut },
  TEXT: { least: 20, fit: cut },
  WORDS: { least: 20, fit: cut },
  "LAST REQUEST": { least: 20, fit: cut },
};

/** Columns that are left out where that is not enough, in this order, but never the first. */
const spared = [
  "CHECKPOINTS",
  "PRIORITY",
  "FAILED",
  "CACHE WRITE",
  "CACHE READ",
  "RESPONSES",
  "TO FIND OUT",
  "SAVED",
  "CAN",
  "CLIENT",
  "SESSION",
  "PROJECT THERE",
  "PROJECT",
  "TASKS",
  "PROGRESS",
  "DETAIL",
  "SEEN",
  "SUBMITTED",
];

/** A narrower column of sentences cannot be read. */
const leastWrapped = 16;
const gap = 2;

interface Column {
  readonly heading: string;
  readonly cells: readonly string[];
  readonly least: number;
  readonly fit: Fit;
  width: number;
}

/**
 * @param rows of one line in each cell, the first with the headings
 * @param width Infinity: no window
 */
export function table(rows: readonly (readonly string[])[], width: number): string {
  const [headings = [], ...items] = rows;
  const all = headings.map((heading, at) =>
    toColumn(
      heading,
      rows.map((row) => row[at] ?? ""),
    ),
  );
  const columns = narrowed(all, width);
  if (columns === null) return items.map((item) => recordText(headings, item, width)).join("\n");
  return rows.map((_, at) => rowText(columns, at)).join("");
}

function toColumn(heading: string, cells: readonly string[]): Column {
  const width = Math.max(...cells.map(textWidth));
  const longestWord = Math.max(...cells.flatMap((cell) => wordsIn(cell).map((word) => textWidth(word.trim()))));
  const { least, fit } = oneLineColumns[heading] ?? { least: Math.max(longestWord, leastWrapped), fit: wrapped };
  return { heading, cells, width, least: Math.min(width, least), fit };
}

/** Leaves out columns, then takes from the widest. @returns null: no table fits the window */
function narrowed(all: readonly Column[], width: number): readonly Column[] | null {
  let columns = all;
  const excess = (measure: "width" | "least"): number =>
    columns.reduce((sum, one) => sum + one[measure] + gap, -gap) - width;
  for (const heading of spared)
    if (excess("least") > 0) columns = columns.filter((one) => one === all[0] || one.heading !== heading);
  if (excess("least") > 0) return null;
  while (excess("width") > 0) {
    const [widest] = columns.filter((one) => one.width > one.least).toSorted((a, b) => b.width - a.width);
    if (widest) widest.width--;
  }
  return columns;
}

function rowText(columns: readonly Column[], at: number): string {
  const cells = columns.map(({ cells: all, fit, width }) => fit(all[at] ?? "", width));
  const height = Math.max(...cells.map(({ length }) => length));
  return Array.from({ length: height }, (_, line) => {
    const parts = columns.map(({ width }, index) => padToWidth(cells[index]?.[line] ?? "", width));
    return `${parts.join(" ".repeat(gap)).trimEnd()}\n`;
  }).join("");
}

/** A row as a line for each cell, behind its heading. */
function recordText(headings: readonly string[], cells: readonly string[], width: number): string {
  const room = Math.max(...headings.map(textWidth)) + gap;
  return headings
    .flatMap((heading, at) => wrapLine(padToWidth(heading, room) + (cells[at] ?? ""), width, " ".repeat(room)))
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}
