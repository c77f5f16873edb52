import { styleText } from "node:util";
import { visible, visibleJson } from "../shared/visible-text.ts";
import type { Io } from "./io.ts";

/** Titles, prompts and errors come from chats, so they may hold anything. */

type TextFormat = "bold" | "dim" | "red" | "yellow" | "green" | "cyan";
export type Paint = (format: TextFormat, text: string) => string;

const colour = /[\uE000-\uF8FF](?=\[(?:[12]|22|3[0-9])m)/g;

export interface Screen {
  readonly paint: Paint;
  readonly format: (text: string) => string;
}

/**
 * [CL3] Never colours against NO_COLOR (no-color.org: set and not empty). [CL4] The mark of a
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

/** [CL4] Stored text must not move the cursor, set the window's title, or hide what follows. */
export const safeText = visible;

/** JSON leaves some control characters unescaped, which a terminal would interpret. */
export function safeJson(data: unknown): string {
  return visibleJson(JSON.stringify(data, null, 2));
}

export function safeJsonLine(data: unknown): string {
  return visibleJson(JSON.stringify(data));
}

export function table(rows: readonly (readonly string[])[], width: number): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const fitting = lines.map((line) => (line.length <= width ? line : `${line.slice(0, Math.max(0, width - 3))}...`));
  return fitting.map((line) => `${line}\n`).join("");
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
