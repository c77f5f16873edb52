import type * as z from "zod";
import {
  operations,
  type InputOf,
  type OutputOf,
  itemFields,
  type ItemOf,
  type PagedOperation,
  type Pages,
} from "../contract/operations.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";
import { ok, type Result } from "../shared/result.ts";

function maxPerPage(name: PagedOperation): number {
  const limit: z.ZodDefault<z.ZodInt> = operations[name].input.shape.limit;
  return limit.unwrap().maxValue ?? 1;
}

interface Caller<Name extends PagedOperation, E> {
  call(name: Name, input: InputOf<Name>): Result<OutputOf<Name>, E> | Promise<Result<OutputOf<Name>, E>>;
}

/**
 * Reads pages, of which a short one may not be the last.
 * Other fields come from the first page: a watch from its revision misses nothing.
 */
export async function fetchPages<Name extends PagedOperation, E>(
  link: Caller<NoInfer<Name>, E>,
  name: Name,
  input: InputOf<NoInfer<Name>>,
  { cursor, max = Infinity }: Pages = {},
): Promise<Result<OutputOf<Name>, E>> {
  const perPage = maxPerPage(name);
  const field = itemFields[name];
  const ask = (size: number, from: string | undefined) =>
    link.call(name, { ...input, limit: size, ...omitUndefined({ cursor: from }) });
  const first = await ask(Math.min(max, perPage), cursor);
  if (!first.ok) return first;
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
