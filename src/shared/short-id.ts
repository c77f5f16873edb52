/** Characters behind a type prefix such as `cp_` that are shown at least. */
const minChars = 8;

/** [CL78] The shortest beginning of an id, at least 8 characters long, that no other id of the list begins with. */
export function shortIdAmong(id: string, others: Iterable<string>): string {
  const typePrefix = /^[a-z]+_/.exec(id)?.[0].length ?? 0;
  let length = typePrefix + minChars;
  for (const other of others) if (other !== id) length = Math.max(length, commonLength(id, other) + 1);
  // A hyphen at the end looks like a line that was broken off.
  return id.slice(0, id[length - 1] === "-" ? length + 1 : length);
}

/** The same for each id of a list. */
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
