const minChars = 8;

/** Shortest unique beginning of an id in the list, at least 8 characters. */
export function shortIdAmong(id: string, others: Iterable<string>): string {
  const typePrefix = /^[a-z]+_/.exec(id)?.[0].length ?? 0;
  let length = typePrefix + minChars;
  for (const other of others) if (other !== id) length = Math.max(length, commonLength(id, other) + 1);
  // A hyphen at the end looks like a truncated line.
  return id.slice(0, id[length - 1] === "-" ? length + 1 : length);
}

export function shortIds(ids: Iterable<string>): (id: string) => string {
  const sorted = [...new Set(ids)].toSorted();
  const short = new Map(
    sorted.map((id, at) => [id, shortIdAmong(id, [sorted[at - 1] ?? id, sorted[at + 1] ?? id])] as const),
  );
  return (id) => short.get(id) ?? shortIdAmong(id, sorted);
}

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length += 1;
  return length;
}
