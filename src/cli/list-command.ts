import type { Command } from "commander";
import type * as z from "zod";
import { operations, type InputOf, type OutputOf } from "../contract/operations.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";
import { ok, type Result } from "../shared/result.ts";
import { withCheckedLink } from "./checked-link.ts";
import { countUpTo, type Cli, type Columns } from "./cli.ts";
import { withLink } from "./coordinator-link.ts";

/** Operations that answer a page at a time, each with the field that holds the items. */
const itemFields = {
  "chats.list": "chats",
  "leases.list": "leases",
  "messages.list-topic-schemas": "topics",
  "state.list": "entries",
  "tasks.history": "attempts",
  "tasks.list": "tasks",
} as const;

type PagedOperation = keyof typeof itemFields;
type FieldOf<Name extends PagedOperation> = (typeof itemFields)[Name] & keyof OutputOf<Name>;
type ItemOf<Name extends PagedOperation> = OutputOf<Name>[FieldOf<Name>] extends readonly (infer Item)[] ? Item : never;

function maxPerPage(name: PagedOperation): number {
  const limit: z.ZodDefault<z.ZodInt> = operations[name].input.shape.limit;
  return limit.unwrap().maxValue ?? 1;
}

export interface PageOptions {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export function withPageOptions(command: Command, name: PagedOperation): Command {
  const max = maxPerPage(name);
  return command
    .option("--limit <n>", `a page of so many, ${max} at most (default: all)`, countUpTo(max))
    .option("--cursor <cursor>", "begin behind the page that had this cursor");
}

interface Pages extends PageOptions {
  /** Ends with the page that brings so many items. */
  readonly max?: number;
}

interface Caller<Name extends PagedOperation, E> {
  call(name: Name, input: InputOf<Name>): Result<OutputOf<Name>, E> | Promise<Result<OutputOf<Name>, E>>;
}

/**
 * Reads one page of `limit` items, or without a limit all pages. A page may be short without being the last.
 * Other fields come from the first page: a watch from its revision misses nothing.
 */
export async function fetchPages<Name extends PagedOperation, E>(
  link: Caller<NoInfer<Name>, E>,
  name: Name,
  input: InputOf<NoInfer<Name>>,
  { limit, cursor, max = Infinity }: Pages = {},
): Promise<Result<OutputOf<Name>, E>> {
  const perPage = maxPerPage(name);
  const field = itemFields[name];
  const ask = (size: number, from: string | undefined) =>
    link.call(name, { ...input, limit: size, ...omitUndefined({ cursor: from }) });
  const first = await ask(limit ?? Math.min(max, perPage), cursor);
  if (!first.ok || limit !== undefined) return first;
  const { [field]: items, cursor: start } = first.value as PageOf<Name>;
  const all = [...items];
  let next = start;
  while (next !== null && all.length < max) {
    const more = await ask(Math.min(max - all.length, perPage), next);
    if (!more.ok) return more;
    const page = more.value as PageOf<Name>;
    all.push(...page[field]);
    next = page.cursor;
  }
  return ok({ ...first.value, [field]: all, cursor: next });
}

type PageOf<Name extends PagedOperation> = Record<(typeof itemFields)[Name], readonly ItemOf<Name>[]> & {
  readonly cursor: string | null;
};

interface PagedList<Name extends PagedOperation> {
  readonly operation: Name;
  readonly columns: Columns<ItemOf<Name>>;
  /** Printed where there are no items. */
  readonly empty: string;
  /** @param argument of the command line, where the command has one */
  readonly input: (argument: string | undefined) => InputOf<Name>;
  /** True: input that no coordinator takes is not sent. */
  readonly isChecked?: boolean;
}

/** Defines a command that prints the items of an operation as a table: all, or a page of them. */
export function defineList<Name extends PagedOperation>(
  cli: Cli,
  command: Command,
  { operation, columns, empty, input, isChecked = false }: PagedList<Name>,
): void {
  withPageOptions(command, operation);
  cli.define(command, (options: PageOptions, argument?: string) =>
    (isChecked ? withCheckedLink : withLink)(cli, async (link) => {
      const listed = await fetchPages(link, operation, input(argument), options);
      if (!listed.ok) return listed;
      const { [itemFields[operation]]: items, cursor } = listed.value as PageOf<Name>;
      return ok({ data: listed.value, text: cli.table(items, columns, empty) + moreText(cursor) });
    }),
  );
}

export function moreText(cursor: string | null): string {
  return cursor === null ? "" : `There are more: --cursor ${quoteArgument(cursor)}\n`;
}

function quoteArgument(text: string): string {
  return /^[\w.:@/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
