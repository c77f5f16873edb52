import { ok, type Result } from "../shared/result.ts";

export interface PageLimits {
  /** One page of so many; default: all. */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly maxPerPage: number;
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
  { limit, cursor, maxPerPage }: PageLimits,
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
