import { styleText } from "node:util";
import { visible, visibleJson } from "../local-mcp/words/visible-text.ts";
import type { Io } from "./io.ts";

/** What is shown to people. Titles, prompts and errors come from chats, so they may hold anything. */

type TextFormat = "bold" | "dim" | "red" | "yellow" | "green" | "cyan";
export type Paint = (format: TextFormat, text: string) => string;

export interface Screen {
  readonly paint: Paint;
  /** As the terminal gets it: colours of `paint` only. */
  readonly format: (text: string) => string;
}

/**
 * [CL3] Colour in a terminal only, and never against NO_COLOR (no-color.org: set and not empty). [CL4] Until it is shown a colour begins
 * with a mark that no stored text can know, since it depends on the time of this process.
 */
export function createScreen({ isTty, env, now }: Pick<Io, "isTty" | "env" | "now">): Screen {
  const isPlain = !isTty || Boolean(env["NO_COLOR"]) || env["TERM"] === "dumb";
  if (isPlain) return { paint: (_format, text) => text, format: safeText };
  // One of the 6,400 characters for private use.
  const mark = String.fromCharCode(0xe000 + (Math.trunc(now()) % 6_400));
  const colour = new RegExp(`${mark}(?=\\[(?:[12]|22|3[0-9])m)`, "g");
  return {
    paint: (format, text) => styleText(format, safeText(text), { validateStream: false }).replaceAll("\u001b", mark),
    format: (text) => safeText(text).replaceAll(colour, "\u001b"),
  };
}

/** [CL4] A stored text must not move the cursor, set the window's title, hide what follows or show something else than it is. */
export const safeText = visible;

/** JSON leaves some control characters as they are; a terminal does not. */
export function safeJson(data: unknown): string {
  return visibleJson(JSON.stringify(data, null, 2));
}

/** The same in one line, for a stream of lines. */
export function safeJsonLine(data: unknown): string {
  return visibleJson(JSON.stringify(data));
}

/** One line of at most `max` characters. */
export function oneLine(text: string, max: number): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length <= max ? line : `${line.slice(0, Math.max(0, max - 3))}...`;
}

/** Rows as aligned columns, two blanks between them, cut to `width`. */
export function table(rows: readonly (readonly string[])[], width: number): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return lines.map((line) => `${cutLine(line, width)}\n`).join("");
}

function cutLine(line: string, width: number): string {
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 3))}...`;
}

/** "1 session", "2 sessions" */
export function pluralize(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** The user's home as `~`. */
export function shortPath(path: string, home: string): string {
  return home !== "" && (path === home || path.startsWith(`${home}/`)) ? `~${path.slice(home.length)}` : path;
}
