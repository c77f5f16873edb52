import * as astGrep from "@ast-grep/napi";
import { expect, it } from "vitest";
import { removeUnused } from "#src/code/evolution/fix.ts";

function without(source: string, names: readonly string[], lines: readonly number[] = []): string {
  const finding = { tool: "knip", rule: "exports", file: "a.ts", range: null, message: "" };
  const named = names.map((symbol) => ({ ...finding, symbol }));
  return removeUnused(astGrep, "a.ts", source, [...named, ...lines.map((line) => ({ ...finding, range: { line } }))]);
}

it.each([
  ["one name of several", 'import { a, b } from "x";\na();\nb;\n', ["b"], 'import { a } from "x";\na();\nb;\n'],
  ["the last name", 'import { a } from "x";\n\nf();\n', ["a"], "f();\n"],
  ["a default beside names", 'import d, { a } from "x";\nd();\n', ["a"], 'import d from "x";\nd();\n'],
  ["a namespace", 'import * as all from "x";\nf();\n', ["all"], "f();\n"],
  ["an alias", 'import { a as b, c } from "x";\nc();\n', ["b"], 'import { c } from "x";\nc();\n'],
  ["nothing known", 'import { a } from "x";\na();\n', ["z"], 'import { a } from "x";\na();\n'],
])("an import loses %s", (_what, source, names, expected) => {
  expect(without(source, names)).toBe(expected);
});

it("an import of which nothing is used goes by its line", () => {
  expect(without('import { a, b } from "x";\nf();\n', [], [1])).toBe("f();\n");
});

it("an unused declaration goes, with its comment and the imports that it alone used", () => {
  const source = `import { read } from "fs";
import { join } from "path";

export const kept = join("a");

/** Nobody needs it. */
export function dead(): string {
  return read("x");
}

export type Gone = string;
`;
  expect(without(source, ["dead", "Gone"])).toBe(`import { join } from "path";

export const kept = join("a");
`);
});

it("what its file uses, or what does something when it is evaluated, loses the keyword alone", () => {
  expect(without("export const a = 1;\nexport const b = a + 1;\n", ["a"])).toBe(
    "const a = 1;\nexport const b = a + 1;\n",
  );
  expect(without("export const a = start();\n", ["a"])).toBe("const a = start();\n");
  expect(without("export const f = () => start();\n", ["f"])).toBe("");
  expect(without("export const a = 1, b = 2;\n", ["a"])).toBe("export const a = 1, b = 2;\n");
});
