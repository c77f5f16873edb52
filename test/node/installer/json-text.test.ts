import { commentsIn, layOut, layouts } from "#harness/machine/jsonc-texts.ts";
import { set } from "#harness/machine/settings-edits.ts";
import { json } from "#src/installer/settings.ts";
import * as fc from "fast-check";
import { parse } from "jsonc-parser";
import { expect, it } from "vitest";

function value(text: string): unknown {
  return parse(text.replace(/^\uFEFF/, ""), [], { allowTrailingComma: true }) as unknown;
}

const keys = fc.constantFrom("a", "b", "hooks", "x y", "mcpServers");
const objects = fc.dictionary(keys, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 });
// JSON has no -0, and __proto__ is no key that a client has.
const clean = (found: unknown): unknown => JSON.parse(JSON.stringify(found).replaceAll("__proto__", "proto"));

it("adding a property changes nothing else, whatever the layout", () => {
  fc.assert(
    fc.property(objects.map(clean), layouts, fc.boolean(), (object, layout, isNested) => {
      const before = layOut(object, layout);
      const path = isNested ? ["new", "deep"] : ["new"];
      const after = set(before, path, { command: "node", args: ["x"] });
      const added = isNested ? { deep: { command: "node", args: ["x"] } } : { command: "node", args: ["x"] };
      expect(json.findProblem(after)).toBeNull();
      expect(value(after)).toEqual({ ...(object as object), new: added });
      expect(commentsIn(after)).toEqual(commentsIn(before));
      expect(after.startsWith("\uFEFF")).toBe(before.startsWith("\uFEFF"));
      expect(/(?<!\r)\n/.test(after) && layout.eol === "\r\n" && before.includes("\n")).toBe(false);
    }),
    { numRuns: 400 },
  );
});

it("removing a property or an element keeps every comment and every other value", () => {
  fc.assert(
    fc.property(objects.map(clean), layouts, fc.nat(), (object, layout, pick) => {
      const before = layOut({ list: [1, { two: 2 }, "three"], ...(object as object) }, layout);
      const names = Object.keys(value(before) as object);
      const name = names[pick % names.length] ?? "list";
      const after = json.remove(before, [name]);
      const rest = Object.fromEntries(Object.entries(value(before) as object).filter(([key]) => key !== name));
      expect(json.findProblem(after)).toBeNull();
      expect(value(after)).toEqual(rest);
      const shorter = json.remove(before, ["list", pick % 3]);
      const list = [1, { two: 2 }, "three"].filter((_item, at) => at !== pick % 3);
      expect(json.read(shorter)["list"]).toEqual(list);
      if (pick % 3 !== 1) expect(commentsIn(shorter)).toEqual(commentsIn(before));
    }),
    { numRuns: 400 },
  );
});

it("taking out what was added gives the text back, where no comments are between", () => {
  fc.assert(
    fc.property(objects.map(clean), layouts, (object, layout) => {
      const before = layOut({ first: 1, ...(object as object) }, { ...layout, comments: [""] });
      expect(json.remove(json.set(before, ["new"], { a: [1] }), ["new"])).toBe(before);
    }),
    { numRuns: 400 },
  );
});

it("writes as its surroundings do", () => {
  expect(json.set('{\n\t"a": 1\n}\n', ["b"], { c: [1] })).toBe(
    '{\n\t"a": 1,\n\t"b": {\n\t\t"c": [\n\t\t\t1\n\t\t]\n\t}\n}\n',
  );
  expect(json.set('{"a":1}', ["b"], { c: [1] })).toBe('{"a":1,"b":{"c":[1]}}');
  expect(json.set('{\n  "a": 1, // one\n}', ["b"], 2)).toBe('{\n  "a": 1, // one\n  "b": 2,\n}');
  expect(json.set('{\n  "a": 1 // one\n}', ["b"], 2)).toBe('{\n  "a": 1, // one\n  "b": 2\n}');
  expect(json.set('{\n  "a": {"x": 1}\n}', ["a", "b"], [2])).toBe('{\n  "a": {"x": 1, "b": [2]}\n}');
  expect(json.set("{ // none\n}", ["b"], 2)).toBe('{ // none\n  "b": 2\n}');
  expect(json.set("", ["b"], 2)).toBe('{\n  "b": 2\n}\n');
  expect(json.set("\uFEFF", ["b"], 2)).toBe('\uFEFF{\n  "b": 2\n}\n');
  expect(json.set('{"list": [1]}', ["list", 1], 2)).toBe('{"list": [1,2]}');
  expect(json.set('{\r\n  "a": 1\r\n}\r\n', ["a"], [1])).toBe('{\r\n  "a": [\r\n    1\r\n  ]\r\n}\r\n');
});

it("takes a property out with its line and leaves the comments", () => {
  expect(json.remove('{\n  "a": 1, // one\n  "b": 2\n}', ["b"])).toBe('{\n  "a": 1 // one\n}');
  expect(json.remove('{\n  // about b\n  "b": 2, // more\n  "c": 3\n}', ["b"])).toBe(
    '{\n  // about b\n  // more\n  "c": 3\n}',
  );
  expect(json.remove('{"a":1, "b":2}', ["a"])).toBe('{"b":2}');
  expect(json.remove('{"a":1, "b":2}', ["b"])).toBe('{"a":1}');
  expect(json.remove('{\n  "a": 1\n  , "b": 2\n}', ["b"])).toBe('{\n  "a": 1\n  \n}');
  expect(json.remove('{"a": 1 /* , */ , "b": 2}', ["a"])).toBe('{/* , */  "b": 2}');
  expect(json.remove('{"a": 1}', ["b"])).toBe('{"a": 1}');
  expect(json.remove('{"a": [1,]}', ["a", 0])).toBe('{"a": []}');
});

it("says what is wrong with a text, and where", () => {
  expect(json.findProblem('{\n  "a": 1\n  "b": 2\n}')).toBe("is not valid JSON: comma expected at line 3, column 3");
  expect(json.findProblem("[1]")).toBe("is valid JSON, but not an object");
  expect(json.findProblem('{"a": {"b": 1, "c": 2, "b": 3}}')).toBe(
    'has the key "b" a second time at line 1, column 24',
  );
  expect(json.findProblem('{"a": 1,} // fine')).toBeNull();
  expect(json.findProblem(" \n")).toBeNull();
});

it("refuses to put a property into something that is no object, or to remove the whole", () => {
  expect(() => set('{"a": 1}', ["a", "b"], 2)).toThrow("a is no object");
  expect(() => json.remove('{"a": 1}', [])).toThrow("whole document");
});
