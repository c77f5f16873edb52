import { readFileSync } from "node:fs";
import { Lang, parse } from "@ast-grep/napi";
import { format as formats, validate } from "@cfworker/json-schema";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Json } from "#src/contract/json.ts";
import { findSchemaProblem, findBodyProblem } from "#src/coordination/messages/topic-schemas.ts";
import { processorMs } from "#harness/machine/processor-time.ts";
import { faultOf } from "../../../../scripts/check-expressions.ts";

const value = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom<Json>(null, true, false, 0, 1, 2, 0.5, "", "a", "b", "aa", "2026-11-21") },
    { weight: 2, arbitrary: fc.array(tie("value"), { maxLength: 3 }) },
    { weight: 3, arbitrary: fc.dictionary(fc.constantFrom("a", "b", "c"), tie("value"), { maxKeys: 3 }) },
  ),
})).value;

const small = fc.nat({ max: 2 });
const names = fc.uniqueArray(fc.constantFrom("a", "b", "c"), { maxLength: 2 });

/** Schemas of which every keyword is drawn, also those that ask for nothing of the value that they meet. */
const schema = fc.letrec<{ schema: Json; many: Json[] }>((tie) => ({
  many: fc.array(tie("schema"), { minLength: 1, maxLength: 2 }),
  schema: fc.oneof(
    { weight: 1, arbitrary: fc.boolean() },
    {
      weight: 6,
      arbitrary: fc
        .array(
          fc.oneof(
            entry(
              "type",
              fc.constantFrom<Json>("string", "number", "integer", "object", "array", "null", ["string", "object"]),
            ),
            entry("enum", fc.array(value, { minLength: 1, maxLength: 3 })),
            entry("const", value),
            entry("minimum", small),
            entry("exclusiveMaximum", small),
            entry("multipleOf", fc.constantFrom(0.5, 1, 2)),
            entry("minLength", small),
            entry("maxLength", small),
            entry("pattern", fc.constantFrom("^a", "a$", "[ab]{2}")),
            entry("format", fc.constantFrom("date", "uuid", "made-up")),
            entry("minItems", small),
            entry("maxItems", small),
            entry("uniqueItems", fc.boolean()),
            entry("required", names),
            entry("minProperties", small),
            entry("maxProperties", small),
            entry("dependentRequired", fc.dictionary(fc.constantFrom("a", "b"), names, { maxKeys: 1 })),
            entry("items", tie("schema")),
            entry("prefixItems", tie("many")),
            entry("contains", tie("schema")),
            entry("properties", fc.dictionary(fc.constantFrom("a", "b"), tie("schema"), { maxKeys: 2 })),
            entry("patternProperties", fc.dictionary(fc.constantFrom("^a", "b"), tie("schema"), { maxKeys: 1 })),
            entry("additionalProperties", tie("schema")),
            entry("unevaluatedProperties", tie("schema")),
            entry("propertyNames", tie("schema")),
            entry("dependentSchemas", fc.dictionary(fc.constantFrom("a", "b"), tie("schema"), { maxKeys: 1 })),
            entry("allOf", tie("many")),
            entry("anyOf", tie("many")),
            entry("oneOf", tie("many")),
            entry("not", tie("schema")),
            entry("if", tie("schema")),
            entry("then", tie("schema")),
            entry("else", tie("schema")),
            entry("$ref", fc.constantFrom("#/$defs/one")),
          ),
          { maxLength: 3 },
        )
        .map((entries) => Object.fromEntries(entries) as Json),
    },
  ),
})).schema;

function entry(name: string, of: fc.Arbitrary<Json>): fc.Arbitrary<[string, Json]> {
  return of.map((one) => [name, one]);
}

it("[MS5] a body fits a schema where the library says so @night", () => {
  fc.assert(
    fc.property(schema, schema, value, (drawn, one, body) => {
      const whole: Json = { allOf: [drawn], $defs: { one } };
      fc.pre(findSchemaProblem(whole) === null);
      const { valid } = validate(body, structuredClone(whole), "2019-09");
      expect([whole, body, findBodyProblem(whole, body) === null]).toEqual([whole, body, valid]);
    }),
    { numRuns: 5_000, seed: 1 },
  );
});

function list<T>(length: number, of: (at: number) => T): T[] {
  return Array.from({ length }, (_, at) => of(at));
}

function properties(count: number, of: (at: number) => Json): Record<string, Json> {
  return Object.fromEntries(list(count, (at) => [`k${at}`, of(at)]));
}

const ref = { $ref: "#/$defs/one" };
const long = "é".repeat(30_000);

/** For a size a schema and a body, both with at most 65,536 characters for the largest size. */
const hostile: [what: string, largest: number, of: (size: number) => [schema: Json, body: Json]][] = [
  ["many items", 32_000, (size) => [{ items: { type: "number" } }, list(size, () => 1)]],
  ["items that do not fit", 32_000, (size) => [{ contains: { type: "string" } }, list(size, () => 1)]],
  ["properties", 6_000, (size) => [{ unevaluatedProperties: { not: {} } }, properties(size, () => 1)]],
  ["names", 6_000, (size) => [{ propertyNames: { maxLength: 0 } }, properties(size, () => 1)]],
  ["required names", 16_000, (size) => [{ contains: { required: list(size, () => "a") } }, list(20, () => ({}))]],
  [
    "dependent schemas",
    1_500,
    (size) => [{ dependentSchemas: properties(size, () => ({ required: ["z"] })) }, properties(2_000, () => 1)],
  ],
  ["choices", 16_000, (size) => [{ enum: list(size, () => ({})) }, properties(6_000, () => 1)]],
  ["choices in a list", 12_000, (size) => [{ enum: list(size, () => [{}]) }, [properties(6_000, () => 1)]]],
  [
    "choices for each item",
    15_000,
    (size) => [{ contains: { enum: list(size, (at) => at % 10) } }, list(2_000, () => -1)],
  ],
  ["unique items", 12_000, (size) => [{ uniqueItems: true }, list(size, (at) => at)]],
  ["unique objects", 400, (size) => [{ uniqueItems: true }, list(size, (at) => ({ ...properties(15, () => 1), at }))]],
  ["a long string", 2_000, (size) => [{ allOf: list(size, () => ({ maxLength: 1 })) }, long]],
  ["a long name", 1_500, (size) => [{ allOf: list(size, () => ({ additionalProperties: true })) }, { [long]: 1 }]],
  [
    "a long name of the schema",
    1_000,
    (size) => [{ allOf: list(size, () => ref), $defs: { one: { dependentSchemas: { [long]: true } } } }, { [long]: 1 }],
  ],
  ...Object.keys(formats)
    .filter((format) => findSchemaProblem({ format }) === null)
    .flatMap((format) =>
      ["a:/", "a@", "a.", "{a,", "t", "P1", "1:", "/~0"].map((part): (typeof hostile)[number] => [
        `${format} of ${part}`,
        1_500,
        (size) => [{ allOf: list(size, () => ({ format })) }, `${part.repeat(20_000)}!`],
      ]),
    ),
  [
    "numbers",
    100,
    (size) => [{ items: { allOf: list(size, () => ({ multipleOf: 5e-324 })) } }, list(6_000, () => 1e308)],
  ],
  ["a pattern and a long string", 60_000, (size) => [{ pattern: "a*b" }, "a".repeat(size)]],
  ["a pattern with three repetitions", 60_000, (size) => [{ pattern: "^\\w*\\w*\\w*$" }, `${"a".repeat(size)}!`]],
  ["a pattern with a count", 60_000, (size) => [{ pattern: "a{900}b" }, "a".repeat(size)]],
  ["patterns that are compiled", 3_000, (size) => [{ patternProperties: properties(size, () => true) }, { b: 1 }]],
  [
    "large classes of characters",
    10,
    (size) => [{ allOf: list(size, (at) => ({ pattern: `^${"[^\\p{L}]?".repeat(90)}${at}` })) }, "1"],
  ],
  [
    "patterns for each name",
    80,
    (size) => [
      { patternProperties: Object.fromEntries(list(size, (at) => [`^k.*${at}$`, false])) },
      properties(5_000, () => 1),
    ],
  ],
  ["doubling for one value", 40, (size) => [doubling(size, (next) => ({ anyOf: [next, next] })), 1]],
  [
    "doubling from level to level",
    40,
    (size) => [doubling(size, (next) => ({ items: { allOf: [next, next] } })), nested(size, (one) => [one])],
  ],
  ["a chain", 1_000, (size) => [doubling(size, (next) => next), list(1_000, () => 1)]],
  [
    "a chain that looks at the rest",
    500,
    (size) => [doubling(size, (next) => ({ allOf: [next], unevaluatedProperties: false })), properties(100, () => 1)],
  ],
  [
    "a deep tree",
    95,
    (size) => [{ anyOf: [{ type: "null" }, { items: { $ref: "#" } }] }, nested(size, (one) => [one])],
  ],
  [
    "a long name around many schemas",
    3_000,
    (size) => [{ properties: { [long]: { properties: properties(size, () => true) } } }, {}],
  ],
];

function doubling(size: number, of: (next: Json) => Json): Json {
  const $defs = list(size + 1, (at): [string, Json] => [
    `d${at}`,
    at === size ? { type: "string" } : of({ $ref: `#/$defs/d${at + 1}` }),
  ]);
  return { $ref: "#/$defs/d0", $defs: Object.fromEntries($defs) };
}

function nested(depth: number, of: (one: Json) => Json): Json {
  return depth === 0 ? null : of(nested(depth - 1, of));
}

it.each(hostile)("[MS16] a check ends soon, whether it is too large or just not: %s", (_, largest, of) => {
  // Sizes that double, so that one is near the bound.
  const sizes = new Set(list(17, (at) => Math.ceil(largest / 2 ** at)));
  const slowest = Math.max(...[...sizes].map((size) => processorMs(() => void findBodyProblem(...of(size)))));
  // About 50 on a usual machine.
  expect(slowest).toBeLessThan(500);
});

const usual: Json = {
  type: "object",
  properties: {
    id: { type: "string", pattern: "^[a-z0-9-]{1,40}$", description: "what it is called" },
    at: { type: "string", format: "date-time" },
    tags: { type: "array", items: { enum: ["a", "b", "c"] }, uniqueItems: true },
    size: { type: "integer", minimum: 0 },
    next: { anyOf: [{ type: "null" }, { $ref: "#/$defs/row" }] },
  },
  required: ["id", "at"],
  additionalProperties: false,
};

it("[MS16] a large body of a usual shape is checked to its end", () => {
  const row = { id: "a-row-with-a-name", at: "2026-11-21T10:00:00Z", tags: ["a", "b"], size: 3, next: null };
  const table: Json = { type: "array", items: { $ref: "#/$defs/row" }, $defs: { row: usual } };
  const rows = list(500, () => row);
  expect(findBodyProblem(table, rows)).toBe(null);
  expect(findBodyProblem(table, [...rows, { ...row, size: -1 }])).toMatch("#/500/size");
  const long: Json = { type: "object", properties: { text: { type: "string", maxLength: 65_000 } } };
  expect(findBodyProblem(long, { text: "x".repeat(60_000) })).toBe(null);
});

it("[MS22] a schema that became unusable says what is wrong and what to do", () => {
  expect(findBodyProblem({ pattern: "^(a+)+$" }, "b")).toMatch(
    /set another one \(messages.set-topic-schema\): pattern cannot be "\^\(a\+\)\+\$"/,
  );
});

it.each<[Json, RegExp]>([
  [{ properties: { a: { allOf: 5 } } }, /^allOf cannot be 5/],
  [{ allOf: { type: "string" } }, /^allOf cannot be/],
  [{ items: [true, 5] }, /^items cannot be/],
  [{ format: "regex" }, /^format cannot be "regex"/],
  [{ format: "constructor" }, /^format cannot be/],
  [{ required: "abc" }, /^required cannot be/],
  [{ maxLength: "5" }, /^maxLength cannot be/],
  [{ dependencies: { a: ["b"] } }, /^dependencies cannot be/],
  [{ $recursiveRef: "#" }, /^\$recursiveRef cannot be/],
  [{ $ref: "#/$defs/constructor", $defs: {} }, /^\$ref cannot be .*it must refer to/],
  [{ $ref: "#", __absolute_ref__: "#/$defs/a", $defs: { a: true } }, /^__absolute_ref__ cannot be/],
  [{ properties: { a: { $id: "https://example.com/a" } } }, /^\$id cannot be .*at the top/],
  [{ properties: { a: { anyOf: [{ $ref: "#/properties/a" }] } } }, /refer to itself/],
])("[MS21] [MS27] an unusable schema is refused with the keyword: %j", (one, why) => {
  expect(findSchemaProblem(one)).toMatch(why);
});

it("[MS16] [MS27] a format of the library is refused or takes linear time, those of its next version too @night", () => {
  const refused = Object.keys(formats).filter((format) => findSchemaProblem({ format }) !== null);
  expect(refused).toEqual(["url", "regex"]);
  const path = new URL("format.js", import.meta.resolve("@cfworker/json-schema"));
  const literals = parse(Lang.JavaScript, readFileSync(path, "utf8"))
    .root()
    .findAll({ rule: { kind: "regex" } });
  expect(literals.length).toBeGreaterThan(refused.length);
  const slow = literals
    .map((literal) => literal.text())
    .filter((literal) => {
      const [, source = "", flags = ""] = /^\/(.*)\/(\w*)$/su.exec(literal) ?? [];
      return faultOf({ path: path.pathname, line: 1, source, flags, bound: null }) !== null;
    });
  // The expression of `url`.
  expect(slow).toEqual([expect.stringContaining("(?:https?|ftp)")]);
});

it("[MS5] references lead to any part of the schema", () => {
  const c = { $ref: "#/properties/a~1b%25" };
  const d = { items: [true, { $ref: "#/properties/c" }] };
  const one: Json = { properties: { "a/b%": { type: "number" }, c, d } };
  expect(findBodyProblem(one, { c: 1, d: ["x", 2] })).toBeNull();
  expect(findBodyProblem(one, { d: ["x", "y"] })).toMatch("#/d/1");
});
