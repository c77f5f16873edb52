import { styleText } from "node:util";
import { visible, visibleJson } from "../shared/visible-text.ts";
import type { Io } from "./io.ts";
import { cutPathToWidth, cutToWidth, padToWidth, textWidth } from "./text-width.ts";

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

/** Columns that give way where a table is too wide, in this order, down to a width. */
const shrinking: readonly (readonly [heading: string, least: number, cut: typeof cutToWidth])[] = [
  ["PROJECT", 12, cutPathToWidth],
  ["PROJECT THERE", 13, cutPathToWidth],
  ["DETAIL", 16, cutToWidth],
  ["TITLE", 24, cutToWidth],
];
const leastOf = new Map(shrinking.map(([heading, least]) => [heading, least]));
/** Columns that are left out where that is not enough, in this order. */
const spared = ["CHECKPOINTS", "SAVED", "CAN", "SEEN", "CLIENT", "PROJECT THERE", "PROJECT", "DETAIL"];
const gap = 2;

/** @param rows the first has the headings */
export function table(rows: readonly (readonly string[])[], width: number): string {
  let columns = (rows[0] ?? []).map((heading, at) => {
    const cells = rows.map((row) => safeText(row[at] ?? ""));
    return { heading, cells, width: Math.max(...cells.map(textWidth)) };
  });
  const excess = (widthOf: (column: (typeof columns)[number]) => number): number =>
    columns.reduce((sum, one) => sum + widthOf(one) + gap, -gap) - width;
  for (const heading of spared)
    if (excess((one) => Math.min(one.width, leastOf.get(one.heading) ?? one.width)) > 0)
      columns = columns.filter((one) => one.heading !== heading);
  for (const [heading, least, cut] of shrinking) {
    const column = columns.find((one) => one.heading === heading);
    const tooMuch = excess((one) => one.width);
    if (!column || tooMuch <= 0 || column.width <= least) continue;
    column.width = Math.max(least, column.width - tooMuch);
    column.cells = column.cells.map((cell) => cut(cell, column.width));
  }
  const lines = rows.map((_, at) =>
    columns
      .map(({ cells, width: columnWidth }) => padToWidth(cells[at] ?? "", columnWidth))
      .join(" ".repeat(gap))
      .trimEnd(),
  );
  return lines.map((line) => `${cutToWidth(line, width)}\n`).join("");
}

/** Lines of a diff that a question shows; `--diff` prints all. */
const maxDiffLines = 200;

export function diffExcerpt(diff: string): string[] {
  const lines = diff.split("\n");
  const more = lines.length - maxDiffLines;
  return more > 0 ? [...lines.slice(0, maxDiffLines), `... ${more} lines more: --diff prints all`] : lines;
}

export function shortPath(path: string, home: string): string {
  return home !== "" && (path === home || path.startsWith(`${home}/`)) ? `~${path.slice(home.length)}` : path;
}
