import type { Command } from "commander";
import type { InputOf } from "../contract/operations.ts";
import {
  fetchPages,
  itemFields,
  maxPerPage,
  type ItemOf,
  type PagedOperation,
  type PageOf,
  type PageOptions,
} from "../coordinator-client/fetch-pages.ts";
import { ok } from "../shared/result.ts";
import { countUpTo, type Cli, type Columns } from "./cli.ts";
import { withCheckedLink, withLink, type CoordinatorLink } from "./coordinator-link.ts";

export function withPageOptions(command: Command, name: PagedOperation): Command {
  const max = maxPerPage(name);
  return command
    .option("--limit <n>", `rows per page, at most ${max} (default: all)`, countUpTo(max))
    .option("--cursor <cursor>", "start after the page that returned this cursor");
}

interface PagedList<Name extends PagedOperation> {
  readonly operation: Name;
  readonly columns: Columns<ItemOf<Name>> | ((link: CoordinatorLink) => Promise<Columns<ItemOf<Name>>>);
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
      return ok({
        data: listed.value,
        text: cli.table(items, typeof columns === "function" ? await columns(link) : columns, empty) + moreText(cursor),
      });
    }),
  );
}

export function moreText(cursor: string | null): string {
  return cursor === null ? "" : `There are more: --cursor ${quoteArgument(cursor)}\n`;
}

function quoteArgument(text: string): string {
  return /^[\w.:@/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
