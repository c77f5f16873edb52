import { styleText } from "node:util";
import type { Io } from "./io.ts";

/** What is shown to people. Titles, prompts and errors come from chats, so they may hold anything. */

type Format = "bold" | "dim" | "red" | "yellow" | "green" | "cyan";
export type Paint = (format: Format, text: string) => string;

/** [CL3] Colour in a terminal only, and never against NO_COLOR (no-color.org: set and not empty). */
export function painter(io: Pick<Io, "isTty" | "env">): Paint {
  const { env } = io;
  const isPlain = !io.isTty || Boolean(env["NO_COLOR"]) || env["TERM"] === "dumb";
  return (format, text) => (isPlain ? text : styleText(format, text, { validateStream: false }));
}

/**
 * [CL4] Takes out control characters, all escape sequences but colours, and the marks that turn the direction of text: a stored
 * text must not move the cursor, set the window's title or show something else than it is.
 */
export function safe(text: string): string {
  return text.replaceAll(
    // eslint-disable-next-line no-control-regex -- control characters are what this looks for
    /\u001b(?!\[[\d;]*m)|[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    "\uFFFD",
  );
}

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** JSON leaves some control characters as they are; a terminal does not. */
export function safeJson(data: unknown): string {
  return escapedAll(JSON.stringify(data, null, 2));
}

/** The same in one line, for a stream of lines. */
export function safeJsonLine(data: unknown): string {
  return escapedAll(JSON.stringify(data));
}

function escapedAll(json: string): string {
  return json.replaceAll(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, escaped);
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
  return lines.map((line) => `${oneLineCut(line, width)}\n`).join("");
}

function oneLineCut(line: string, width: number): string {
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 3))}...`;
}

/** "1 session", "2 sessions" */
export function many(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** The user's home as `~`. */
export function shortPath(path: string, home: string): string {
  return home !== "" && (path === home || path.startsWith(`${home}/`)) ? `~${path.slice(home.length)}` : path;
}
