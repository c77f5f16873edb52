export interface Finding {
  readonly start: number;
  readonly end: number;
  readonly kind: string;
}

/** Finds one kind of secret, in a text that has one of its marks. */
export interface Rule {
  /** Short texts, and expressions with `g`: a clean text is searched for nothing else. */
  readonly marks: readonly (string | RegExp)[];
  readonly find: (text: string) => Finding[];
}

export interface RedactResult {
  readonly text: string;
  readonly count: number;
}

const markerStart = "[redacted:";

export function isMarkerAt(text: string, index: number): boolean {
  return text.startsWith(markerStart, index) || text.startsWith("[private]", index);
}

/** @param pattern sticky; null: it does not match at `at` */
export function matchEnd(pattern: RegExp, text: string, at: number): number | null {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : null;
}

/** @param pattern sticky */
export function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** Merges overlapping findings under the kind of the first. */
export function replace(text: string, findings: readonly Finding[]): RedactResult {
  const sorted = [...findings].sort((a, b) => a.start - b.start || b.end - a.end);
  const parts: string[] = [];
  let copiedUntil = 0;
  let count = 0;
  for (let i = 0; i < sorted.length;) {
    const first = sorted[i];
    if (!first) break;
    let { end } = first;
    for (i += 1; (sorted[i]?.start ?? Infinity) < end; i++) end = Math.max(end, sorted[i]?.end ?? 0);
    parts.push(text.slice(copiedUntil, first.start), markerStart, first.kind, "]");
    copiedUntil = end;
    count += 1;
  }
  parts.push(text.slice(copiedUntil));
  return { text: parts.join(""), count };
}
