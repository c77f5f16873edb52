import * as fc from "fast-check";
import * as z from "zod";
import type { Operation } from "#src/contract/operation.ts";
import { operations, type OperationName } from "#src/contract/operations.ts";

/** Inputs that nearly fit: made from the schema of their operation, then bent. */

interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** Names that meet each other, so that requests of one run meet, too. */
const names: Readonly<Record<string, readonly string[]>> = {
  chat: ["c1", "c1", "c2", "c3"],
  session: ["s1", "s2"],
  process: ["boot-1/1/100", "boot-1/2/200"],
  machine: ["m1", "m1", "m2"],
  holder: ["c1", "c2"],
  by: ["c1", "c2"],
  key: ["k", "k/1", "k/2", "session/x", "\u{1F600}", "a b", "%_"],
  prefix: ["", "k", "k/", "$chat/", "file:p/", "session/"],
  resource: ["r", "file:p/a.ts", "file:p/*", "file:p/**", "file:p/d/b.ts", "leader:main"],
  requestId: ["q1", "q2", "q3"],
  name: ["main", "other"],
  topic: ["build", "build.web", "deploy"],
  pattern: ["build", "build.*", "build.**", "**"],
  id: ["tok_none"],
  watch: ["w1", "w2"],
  cursor: ["", "c1", "k/1", "~"],
  status: ["idle", "busy"],
  kind: ["lease.granted", "no.such"],
};

const json = fc.jsonValue({ maxDepth: 3, depthSize: "small" });

const strangeSchemas: unknown[] = JSON.parse(`[{"type":"number"},{"type":"object","required":["a"]},{"$ref":"#"},
  {"$ref":"#/nothing"},{"pattern":"("},{"allOf":[{"not":{}}]},{"if":{"type":"null"},"else":{"$ref":"#"}},{"type":5},
  {"properties":null},{"items":[{"minimum":"x"}]}]`);

const jsonSchema = fc.oneof(
  fc.constantFrom(...strangeSchemas),
  fc.dictionary(fc.constantFrom("type", "pattern", "items", "$ref", "anyOf", "enum", "properties", "minimum"), json),
);

function textOf(field: string): fc.Arbitrary<unknown> {
  const known = names[field];
  return known ? fc.constantFrom(...known) : fc.string({ minLength: 1, maxLength: 20 });
}

function numberOf({ minimum = 0, maximum = 1_000_000 }: Schema): fc.Arbitrary<unknown> {
  const low = Math.max(minimum, -1_000_000);
  const high = Math.min(maximum, low + 1_000_000);
  return fc.oneof(fc.integer({ min: low, max: Math.min(high, low + 3) }), fc.constantFrom(low, high, maximum));
}

const absent = fc.constant(undefined);

function objectOf({ properties = {}, required = [], additionalProperties }: Schema): fc.Arbitrary<unknown> {
  if (typeof additionalProperties === "object") return fc.dictionary(fc.string({ maxLength: 5 }), json, { maxKeys: 3 });
  const fields = Object.entries(properties).map(([name, schema]) => {
    const value = valueOf(schema, name);
    return [name, required.includes(name) ? value : fc.oneof(absent, absent, value)] as const;
  });
  return fc
    .record(Object.fromEntries(fields))
    .map((all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)));
}

const numbers: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  incarnation: fc.constantFrom(1, 1, 1, 2),
  token: fc.integer({ min: 1, max: 20 }),
  term: fc.integer({ min: 1, max: 20 }),
};

const byType: Readonly<Record<string, (schema: Schema, field: string) => fc.Arbitrary<unknown>>> = {
  string: (_, field) => textOf(field),
  integer: (schema, field) => numbers[field] ?? numberOf(schema),
  number: numberOf,
  boolean: () => fc.boolean(),
  array: ({ items = {}, minItems = 0 }, field) =>
    fc.array(valueOf(items, field), { minLength: minItems, maxLength: 4 }),
  object: (schema, field) => (field === "schema" ? jsonSchema : objectOf(schema)),
  null: () => fc.constant(null),
};

function valueOf(schema: Schema, field: string): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) return json;
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const some = schema.anyOf ?? schema.oneOf;
  if (some) return fc.oneof(...some.map((one) => valueOf(one, field)));
  return byType[schema.type ?? ""]?.(schema, field) ?? json;
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

/** What no schema asks for. */
const hostile: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, "", "null", [], {}, [[]], [{}]),
  fc.constantFrom(0, -0, -1, 0.5, 1e308, -1e308, 2 ** 53, 2 ** 63),
  fc.constantFrom("\0", "\u001f\u007f", "\ud800", "\udfff\ud800", "c1\n", "\u202e"),
  fc.constantFrom("../..", "' OR 1=1 --", "%00", "x".repeat(5_000)),
  fc.constantFrom("__proto__", "constructor", "prototype", "toString", "hasOwnProperty"),
  fc.constantFrom(
    JSON.parse('{"__proto__":{"isAdmin":true}}') as unknown,
    { constructor: { prototype: { isAdmin: true } } },
    { toJSON: "x", length: -1 },
  ),
  fc.constantFrom(20, 90, 99, 150, 3_000).map(nested),
  fc.array(fc.integer(), { minLength: 101, maxLength: 120 }),
  fc.string({ unit: "binary", maxLength: 30 }),
  json,
);

type Bend = typeof bend extends fc.Arbitrary<infer One> ? One : never;

const bend = fc.record({
  path: fc.array(fc.nat(6), { maxLength: 3 }),
  how: fc.constantFrom("replace", "replace", "replace", "add", "drop"),
  name: fc.constantFrom("extra", "__proto__", "constructor", "toString", "", "self", "chat"),
  value: hostile,
});

function bent(value: unknown, { path: [at = 0, ...path], how, ...to }: Bend): unknown {
  if (typeof value !== "object" || value === null) return to.value;
  const entries: [string, unknown][] = Object.entries(value);
  const chosen = entries[at % Math.max(1, entries.length)];
  if (path.length > 0 && chosen) entries[entries.indexOf(chosen)] = [chosen[0], bent(chosen[1], { path, how, ...to })];
  else if (how === "add") entries.push([to.name, to.value]);
  else if (how === "drop" || !chosen) entries.splice(at % Math.max(1, entries.length), 1);
  else entries[entries.indexOf(chosen)] = [chosen[0], to.value];
  // It makes `__proto__` a property like any other.
  return Array.isArray(value) ? entries.map(([, one]) => one) : Object.fromEntries(entries);
}

const bends = fc.oneof(
  { weight: 8, arbitrary: fc.constant([]) },
  { weight: 5, arbitrary: fc.tuple(bend) },
  { weight: 1, arbitrary: fc.tuple(bend, bend) },
  { weight: 1, arbitrary: hostile.map((value) => [null, value] as const) },
);

/** For an operation: what fits, what nearly fits, and what does not at all. */
export function inputsOf(name: OperationName): fc.Arbitrary<unknown> {
  const { input }: Operation = operations[name];
  const schema = z.toJSONSchema(input, { io: "input" }) as Schema;
  return fc
    .tuple(objectOf(schema), bends)
    .map(([value, how]) => (how[0] === null ? how[1] : how.reduce<unknown>((at, one) => bent(at, one), value)));
}

/** Texts that are hardly JSON. */
export const rawBodies: fc.Arbitrary<string | Uint8Array> = fc.oneof(
  fc.string({ unit: "binary", maxLength: 50 }),
  fc.uint8Array({ maxLength: 50 }),
  fc.constantFrom("", "{", "[", "{}", '{"a":1,"a":2}', '{"key":"k","value":1}garbage', "\ufeff{}", "1e999"),
  fc.constant('{"key":"\\ud800","value":1}'),
  json.map((value) => JSON.stringify(value).slice(0, -1)),
);
