import { expect, it } from "vitest";
import { folderCycles, namingFaults } from "../../../scripts/check-source.ts";

it("a name with a word that says nothing is a fault, with the word to use; comments, strings and columns are not read", () => {
  const source = [
    "// told",
    'const lookup = "told";',
    "class A { constructor() {} }; const row = { told_at: `told` };",
    "const isTold = row;",
    "const deskOf = 1;",
  ];
  const faults = namingFaults("src/a.ts", source.join("\n"));
  expect(faults).toEqual([
    expect.stringContaining('src/a.ts:4: the name isTold has the word "told"'),
    expect.stringContaining('src/a.ts:5: the name deskOf has the word "desk"'),
  ]);
});

it("folders that import each other are a cycle, also over a third one; an entry is none of it", () => {
  const imports = new Map([
    ["a/one.ts", ["b/two.ts"]],
    ["b/two.ts", ["c/three.ts", "b/other.ts"]],
    ["c/three.ts", ["a/four.ts"]],
    ["d/five.ts", ["a/one.ts"]],
    ["a/x-entry.ts", ["d/five.ts"]],
  ]);
  expect(folderCycles(imports)).toEqual([["a", "b", "c"]]);
  expect(folderCycles(new Map([["d/five.ts", ["a/one.ts"]]]))).toEqual([]);
});
