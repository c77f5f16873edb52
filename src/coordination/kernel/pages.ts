const mostText = 1_000_000;

/** Leading items that fit in one answer: at most `limit`, about this much text, at least one. */
export function page<T>(items: readonly T[], limit: number, textOf: (item: T) => number): readonly T[] {
  let text = 0;
  const end = items.findIndex((item, at) => (text += textOf(item)) > mostText && at > 0);
  return items.slice(0, end < 0 ? limit : Math.min(end, limit));
}
