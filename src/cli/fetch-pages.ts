import type { Command } from "commander";
import { ok, type Result } from "../shared/result.ts";
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

interface PageRequest {
  readonly limit: number;
  readonly cursor?: string;
}

/** Other fields come from the first page: a watch from its revision misses nothing. */
export async function fetchPages<
  Field extends string,
  Value extends { cursor: string | null } & Record<Field, unknown[]>,
  E,
>(
  { limit, cursor, maxPerPage }: PageOptions & { readonly maxPerPage: number },
  field: Field,
  ask: (page: PageRequest) => Promise<Result<Value, E>>,
): Promise<Result<Value, E>> {
  const first = await ask({ limit: limit ?? maxPerPage, ...(cursor === undefined ? {} : { cursor }) });
  if (!first.ok || limit !== undefined) return first;
  const items = [...first.value[field]];
  let next = first.value.cursor;
  while (next !== null) {
    const more = await ask({ limit: maxPerPage, cursor: next });
    if (!more.ok) return more;
    items.push(...more.value[field]);
    next = more.value.cursor;
  }
  return ok({ ...first.value, [field]: items, cursor: null });
}

export function moreText(cursor: string | null): string {
  return cursor === null ? "" : `There are more: --cursor ${quoteArgument(cursor)}\n`;
}

function quoteArgument(text: string): string {
  return /^[\w.:@/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
