import * as fc from "fast-check";
import { expect, it } from "vitest";
import { AggregateRule } from "#src/contract/tasks.ts";
import type { Json } from "#src/contract/json.ts";
import { aggregate, type PartResult } from "#src/coordination/tasks/aggregate.ts";
import { given, refused } from "#harness/coordinator/state-calls.ts";

const done = (part: string, result: Json): PartResult => ({ part, state: "done", result });
const dead = (part: string, reason = "failed"): PartResult => ({ part, state: "dead", reason });

const parsed = (text: string) => JSON.parse(text) as Json;

/** Without the names that [PL11] refuses. */
const anyJson = fc
  .jsonValue({ maxDepth: 3 })
  .filter((value) => !/"(?:__proto__|prototype)":/.test(JSON.stringify(value)))
  .map((value) => value as Json);
/** Few names and values, so that they meet. */
const { tree: anyTree } = fc.letrec<{ tree: Json; leaf: Json; node: Json }>((tie) => ({
  tree: fc.oneof({ maxDepth: 3 }, tie("leaf"), tie("node")),
  leaf: fc.constantFrom<Json>(1, 2, "x", null, [], [1], {}),
  node: fc.dictionary(fc.constantFrom("a", "b", "a/b", "~", "toString"), tie("tree"), { maxKeys: 3 }),
}));
const namedBy = (values: readonly Json[]) => values.map((value, at) => done(`p${at}`, value));

it("[PL8] collect gives the results as they are, in the order of the parts", () => {
  fc.assert(
    fc.property(fc.array(anyJson, { maxLength: 8 }), (values) => {
      expect(given(aggregate("collect", namedBy(values)))).toEqual({
        value: values.map((result, at) => ({ part: `p${at}`, result })),
        conflicts: [],
        isComplete: true,
        missing: [],
      });
    }),
  );
});

it("[PL8] count gives how many parts there are and how they ended", () => {
  const results = [done("a", 1), dead("b"), done("c", 2), { part: "d", state: "cancelled", reason: "asked" } as const];
  expect(given(aggregate("count", results)).value).toEqual({ parts: 4, done: 2, dead: 1, cancelled: 1 });
  expect(given(aggregate("count", [])).value).toEqual({ parts: 0, done: 0, dead: 0, cancelled: 0 });
});

it("[PL9] merge takes fields of all, however deep, and agrees with what is said twice", () => {
  const { value, conflicts } = given(
    aggregate("merge", [
      done("a", { files: { "a.ts": { lines: 3, tags: ["x"] } }, total: 1, order: { p: 1, q: [{ r: 1, s: 2 }] } }),
      done("b", { files: { "b.ts": { lines: 4 }, "a.ts": { tags: ["x"] } }, total: 1 }),
      done("c", { order: { q: [{ s: 2, r: 1 }] }, none: null }),
    ]),
  );
  expect(conflicts).toEqual([]);
  expect(value).toEqual({
    files: { "a.ts": { lines: 3, tags: ["x"] }, "b.ts": { lines: 4 } },
    total: 1,
    order: { p: 1, q: [{ r: 1, s: 2 }] },
    none: null,
  });
});

const conflict = (path: string, others: Record<string, Json>) => ({
  path,
  kept: "a",
  others: Object.entries(others).map(([part, value]) => ({ part, value })),
});

it("[PL9] what differs is a conflict: the first stays, the others are reported with their path", () => {
  const { value, conflicts, isComplete } = given(
    aggregate("merge", [
      done("a", { "x/y": { "~": 1 }, list: [1, 2], deep: { z: 1 } }),
      done("b", { "x/y": { "~": 2 }, list: [2, 1], deep: 5 }),
      done("c", { "x/y": { "~": 1 }, deep: { w: null } }),
      done("d", [1]),
      done("e", { "x/y": { "~": null }, list: { 0: 1 } }),
    ]),
  );
  expect(value).toEqual({ "x/y": { "~": 1 }, list: [1, 2], deep: { z: 1, w: null } });
  expect(conflicts).toEqual([
    { path: "", kept: null, others: [{ part: "d", value: [1] }] },
    conflict("/x~1y/~0", { b: 2, e: null }),
    conflict("/list", { b: [2, 1], e: { 0: 1 } }),
    conflict("/deep", { b: 5 }),
  ]);
  expect(isComplete).toBe(true);
});

const isObject = (value: unknown): value is { readonly [name: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Each leaf with its place; an empty object is one. */
function leaves(value: Json, path = ""): [string, Json][] {
  if (!isObject(value) || Object.keys(value).length === 0) return [[path, value]];
  return Object.entries(value).flatMap(([name, inner]) =>
    leaves(inner, `${path}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`),
  );
}

it("[PL9] nothing that a part said is lost: each of its values is in the merged one or in a conflict", () => {
  fc.assert(
    fc.property(fc.array(anyTree, { maxLength: 5 }), (values) => {
      const { value, conflicts } = given(aggregate("merge", namedBy(values)));
      const merged = new Map(leaves(value).map(([path, leaf]) => [path, JSON.stringify(leaf)]));
      const paths = [...merged.keys()];
      for (const [at, given] of values.entries()) {
        const told = conflicts.flatMap(({ path, others }) =>
          others.filter(({ part }) => part === `p${at}`).flatMap((other) => leaves(other.value, path)),
        );
        const isTold = ([path, leaf]: [string, Json]) =>
          told.some(([where, what]) => where === path && JSON.stringify(what) === JSON.stringify(leaf));
        const isMerged = ([path, leaf]: [string, Json]) =>
          merged.get(path) === JSON.stringify(leaf) ||
          (JSON.stringify(leaf) === "{}" && paths.some((known) => known.startsWith(`${path}/`)));
        expect(leaves(given).filter((leaf) => !isTold(leaf) && !isMerged(leaf))).toEqual([]);
      }
    }),
    { numRuns: 500 },
  );
});

function places(given: readonly PartResult[]): string[] | null {
  const answer = aggregate("merge", given);
  return answer.ok ? answer.value.conflicts.map(({ path }) => path).toSorted() : null;
}

it("[PL9] the order of the parts decides only what is in the value, not where conflicts are", () => {
  fc.assert(
    fc.property(
      fc.array(fc.dictionary(fc.constantFrom("a", "b"), fc.constantFrom<Json>(1, 2, [])), { maxLength: 4 }),
      (values) => {
        const results = namedBy(values);
        expect(places(results.toReversed())).toEqual(places(results));
      },
    ),
  );
});

it("[PL10] what is missing is reported with the reason, and the rest is given", () => {
  const missing = [dead("b", "poison"), { part: "c", state: "cancelled", reason: "no longer wanted" } as const];
  const results = [done("a", { x: 1 }), ...missing];
  const rest: Record<AggregateRule, Json> = {
    collect: [{ part: "a", result: { x: 1 } }],
    merge: { x: 1 },
    count: { parts: 3, done: 1, dead: 1, cancelled: 1 },
  };
  for (const rule of AggregateRule.options) {
    expect(given(aggregate(rule, results))).toEqual({ value: rest[rule], conflicts: [], isComplete: false, missing });
    expect(given(aggregate(rule, [dead("b")])).missing).toHaveLength(1);
  }
});

it.each([
  ["__proto__", '{"a":[{"__proto__":{"isAdmin":true}}]}'],
  ["constructor", '{"a":[{"constructor":{"prototype":{"isAdmin":true}}}]}'],
])("[PL11] a result that reaches for the prototype of all objects by %s is refused", (name, text) => {
  for (const rule of AggregateRule.options) {
    const refusal = refused(aggregate(rule, [done("good", {}), done("bad", parsed(text))]));
    expect(refusal).toMatchObject({ code: "bad_input", message: expect.stringMatching(`part bad.*${name}`) });
  }
  expect(Object.hasOwn(Object.prototype, "isAdmin")).toBe(false);
});

it("[PL11] names like those of a prototype are data", () => {
  const names = { constructor: 3, prototype: { x: 1 }, toString: "x", hasOwnProperty: null };
  const merged = given(aggregate("merge", [done("a", names), done("b", { valueOf: 1 })]));
  expect(merged.value).toEqual({ ...names, valueOf: 1 });
  expect(given(aggregate("merge", [done("a", { constructor: { name: "x" } })])).conflicts).toEqual([]);
});

it("[PL11] two results of one part, and JSON that is nested too deep, are refused", () => {
  expect(refused(aggregate("collect", [done("a", 1), dead("a")])).message).toBe("part a has two results");
  const deep = parsed(`${"[".repeat(101)}${"]".repeat(101)}`);
  expect(refused(aggregate("merge", [done("a", deep)])).message).toContain("part a cannot be used: JSON is nested");
});

it("[PL11] an answer that is too large is refused with the part whose result is the largest", () => {
  const results = [done("small", "x"), done("large", "x".repeat(500)), done("last", { y: 1 })];
  const chars = JSON.stringify(given(aggregate("collect", results))).length;
  expect(aggregate("collect", results, chars).ok).toBe(true);
  expect(refused(aggregate("collect", results, chars - 1))).toEqual({
    code: "too_large",
    message: `the results of the parts have ${chars} characters as JSON; at most ${chars - 1}; the largest is that of part large with 502`,
  });
  expect(aggregate("count", results, 200).ok).toBe(true);
  expect(refused(aggregate("count", [dead("a", "x".repeat(300))], 200)).message).not.toContain("largest");
  expect(refused(aggregate("merge", [done("a", { x: "x".repeat(262_144) })])).code).toBe("too_large");
});
