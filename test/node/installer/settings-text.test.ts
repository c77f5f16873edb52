import { commentsIn, layOut, layouts } from "#harness/machine/jsonc-texts.ts";
import { type Settings, formatOf, json, listIn, objectIn, update } from "#src/installer/settings.ts";
import * as fc from "fast-check";
import { expect, it } from "vitest";

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

it("a change that changes nothing gives the same text, and dates of TOML stay", () => {
  const text = '# mine\nat = 2026-11-25T18:00:00Z # then\n[a]\n"b c" = [ 1,2 ]\n';
  expect(update(toml, text, () => undefined)).toBe(text);
  const more = update(toml, text, (root) => void (root["servers"] = { shim: { command: "x" } }));
  expect(more).toBe(`${text}\n[servers.shim]\ncommand = "x"\n`);
});
