import type { Command } from "commander";
import { countUpTo } from "./cli.ts";

export interface PageOptions {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export function withPageOptions(command: Command, maxPerPage: number): Command {
  return command
    .option("--limit <n>", `a page of so many, ${maxPerPage} at most (default: all)`, countUpTo(maxPerPage))
    .option("--cursor <cursor>", "begin behind the page that had this cursor");
}

export function moreText(cursor: string | null): string {
  return cursor === null ? "" : `There are more: --cursor ${quoteArgument(cursor)}\n`;
}

function quoteArgument(text: string): string {
  return /^[\w.:@/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
