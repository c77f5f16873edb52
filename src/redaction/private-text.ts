/** Literal or as JSON encoders write it. The bound keeps a lone `<private ` cheap. */
const tag = /(?:<|\\u003c)(?:(\\?\/)private\s{0,20}|private(?:\s[^>]{0,300}?)?)(?<!\/)(?:>|\\u003e)/gi;

/** [RD1] Tags nest and may have attributes; without a closing tag, the rest is private. */
export function stripPrivate(text: string): { readonly text: string; readonly count: number } {
  const parts: string[] = [];
  let keptUntil = 0;
  let depth = 0;
  let count = 0;
  tag.lastIndex = 0;
  for (let match = tag.exec(text); match; match = tag.exec(text)) {
    if (match[1] !== undefined) {
      if (depth === 0) continue;
      depth -= 1;
      if (depth === 0) keptUntil = match.index + match[0].length;
    } else {
      if (depth === 0) {
        parts.push(text.slice(keptUntil, match.index), "[private]");
        count += 1;
      }
      depth += 1;
    }
  }
  if (count === 0) return { text, count };
  if (depth === 0) parts.push(text.slice(keptUntil));
  return { text: parts.join(""), count };
}
