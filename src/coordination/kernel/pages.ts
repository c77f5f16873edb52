/** Of the texts in one answer, in bytes or characters, after the first item. */
const mostText = 1_000_000;

/** As many items from the front on as one answer tells: at most `limit`, with about so much text, and at least one. */
export function page<T>(items: readonly T[], limit: number, textOf: (item: T) => number): readonly T[] {
  let text = 0;
  const end = items.findIndex((item, at) => (text += textOf(item)) > mostText && at > 0);
  return items.slice(0, end < 0 ? limit : Math.min(end, limit));
}
