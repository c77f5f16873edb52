import { commentsIn, layOut, layouts } from "#harness/machine/client-home.ts";
import { formatOf, json, listIn, objectIn, update, type Settings } from "#src/installer/settings.ts";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { parse } from "jsonc-parser";

const toml = formatOf("config.toml");
const items = fc.array(fc.oneof(fc.nat(9), fc.record({ name: fc.constantFrom("x", "y") })), { maxLength: 5 });

it("a list loses any of its items and gets new ones, whatever the layout", () => {
  fc.assert(
    fc.property(items, fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), layouts, (list, kept, layout) => {
      const before = layOut({ first: 1, list, last: { a: [] } }, layout);
      const change = (root: Settings): void => {
        const found = listIn(root, "list");
        found.splice(0, Infinity, ...found.filter((_item, at) => kept[at]), { new: [1] });
        objectIn(root, "last")["b"] = true;
      };
      const after = update(json, before, change);
      const rest = list.filter((_item, at) => kept[at]);
      expect(json.findProblem(after)).toBeNull();
      expect(json.read(after)).toEqual({ first: 1, list: [...rest, { new: [1] }], last: { a: [], b: true } });
      expect(commentsIn(before)).toEqual(expect.arrayContaining(commentsIn(after)));
    }),
    { numRuns: 300 },
  );
});

function empty(root: Settings): void {
  delete objectIn(objectIn(root, "a"), "b")["c"];
}

it("what a change empties goes, unless it was there before SHIM or has a comment", () => {
  expect(update(json, '{"a": {"b": {"c": 1}}, "d": {}}', empty)).toBe('{"d": {}}');
  expect(update(json, '{"a": {"b": {"c": 1}}}', empty, { a: { b: {} } })).toBe('{"a": {"b": {}}}');
  expect(update(json, '{"a": {"b": {"c": 1}}}', empty, { a: {} })).toBe('{"a": {}}');
  expect(update(json, '{"a": {"b": {"c": 1 /* mine */}}}', empty)).toBe('{"a": {"b": { /* mine */}}}');
  expect(update(toml, "x = 1\n\n[a.b]\nc = 1\n", empty)).toBe("x = 1\n");
});

function value(text: string): unknown {
  return parse(text.replace(/^\uFEFF/, ""), [], { allowTrailingComma: true }) as unknown;
}

const keys = fc.constantFrom("a", "b", "hooks", "x y", "mcpServers");
const objects = fc.dictionary(keys, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 });
// JSON has no -0, and __proto__ is no key that a client has.
const clean = (found: unknown): unknown => JSON.parse(JSON.stringify(found).replaceAll("__proto__", "proto"));

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

it("says what is wrong with a text, and where", () => {
  expect(json.findProblem('{\n  "a": 1\n  "b": 2\n}')).toBe("is not valid JSON: comma expected at line 3, column 3");
  expect(json.findProblem("[1]")).toBe("is valid JSON, but not an object");
  expect(json.findProblem('{"a": {"b": 1, "c": 2, "b": 3}}')).toBe(
    'has the key "b" a second time at line 1, column 24',
  );
  expect(json.findProblem('{"a": 1,} // fine')).toBeNull();
  expect(json.findProblem(" \n")).toBeNull();
});
