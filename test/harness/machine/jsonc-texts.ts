import * as fc from "fast-check";

/** Random JSONC texts: any layout that a person or a program may leave, with comments, trailing commas, line ends and a mark. */

export interface Layout {
  readonly unit: string;
  readonly eol: string;
  readonly isSpread: boolean;
  readonly hasTrailingCommas: boolean;
  /** Taken in turn wherever a comment may stand; "" is none. */
  readonly comments: readonly string[];
  readonly bom: string;
  readonly end: string;
}

export const layouts: fc.Arbitrary<Layout> = fc.record({
  unit: fc.constantFrom("  ", "    ", "\t", ""),
  eol: fc.constantFrom("\n", "\r\n"),
  isSpread: fc.boolean(),
  hasTrailingCommas: fc.boolean(),
  comments: fc.oneof(
    fc.constant([""]),
    fc.array(fc.constantFrom("", "/* note */", '/* { "a": [1, */', '// to the end, "x": {'), {
      minLength: 1,
      maxLength: 7,
    }),
  ),
  bom: fc.constantFrom("", "\uFEFF"),
  end: fc.constantFrom("", "\n", "\n\n"),
});

/** The value as text in the given layout; parsing it gives the value again. */
export function layOut(value: unknown, layout: Layout): string {
  let turn = 0;
  const comment = (indent: string): string => {
    const text = layout.comments[turn++ % layout.comments.length] ?? "";
    if (text.startsWith("//")) return ` ${text}${layout.eol}${indent}`;
    return text && ` ${text}`;
  };
  const items = (parts: string[], open: string, close: string, indent: string): string => {
    if (parts.length === 0) return `${open}${comment(indent)}${close}`;
    const inner = layout.isSpread ? layout.eol + indent + layout.unit : "";
    const outer = layout.isSpread ? layout.eol + indent : "";
    const lines = parts.map((part, at) => {
      const comma = at < parts.length - 1 || layout.hasTrailingCommas ? "," : "";
      return inner + comment(indent) + part + comment(indent) + comma + comment(indent);
    });
    return open + lines.join("") + outer + close;
  };
  const print = (part: unknown, indent: string): string => {
    if (typeof part !== "object" || part === null) return JSON.stringify(part);
    const deeper = indent + layout.unit;
    if (Array.isArray(part))
      return items(
        part.map((item) => print(item, deeper)),
        "[",
        "]",
        indent,
      );
    const parts = Object.entries(part).map(
      ([key, item]) => `${JSON.stringify(key)}:${comment(deeper)} ${print(item, deeper)}`,
    );
    return items(parts, "{", "}", indent);
  };
  return layout.bom + print(value, "") + layout.end.replaceAll("\n", layout.eol);
}

/** All comments in a text that `layOut` made, in order. */
export function commentsIn(text: string): string[] {
  return text
    .replace(/"(?:[^"\\]|\\.)*"|(\/\/[^\r\n]*|\/\*[\s\S]*?\*\/)/g, (_all, comment?: string) =>
      comment === undefined ? "" : `\u0001${comment}\u0001`,
    )
    .split("\u0001")
    .filter((_part, at) => at % 2 === 1);
}
