import * as fc from "fast-check";
import { expect, it } from "vitest";
import * as z from "zod";
import { machineOperations } from "#src/contract/machine/operations.ts";
import { operationNames, operations } from "#src/contract/operations.ts";
import { checkFields, compileSchema, undecided, checkJsonShape, formatIssues } from "#src/shared/check-input.ts";
import { inputFields, type InputField, fromTexts } from "#src/shared/input-fields.ts";
import { inputsOf } from "#harness/coordinator/hostile.ts";

/** Text of a value that shows the order of keys, undefined, -0 and prototypes. */
function exactText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(exactText).join()}]`;
  if (typeof value === "object" && value !== null) {
    const fields = Reflect.ownKeys(value).map((key) => `${String(key)}:${exactText(Reflect.get(value, key))}`);
    return `${Object.getPrototypeOf(value) === Object.prototype ? "" : "other "}{${fields.join()}}`;
  }
  if (typeof value === "string") return JSON.stringify(value);
  return Object.is(value, -0) ? "-0" : String(value);
}

/** What zod says, with its generated code and without it, as in workerd. */
function zodOf(schema: z.ZodType, value: unknown): { readonly text: string | null; readonly message: string } {
  const parsed = schema.safeParse(value);
  const interpreted = schema.safeParse(value, { jitless: true });
  const text = parsed.success ? exactText(parsed.data) : null;
  expect(interpreted.success ? exactText(interpreted.data) : null).toBe(text);
  return { text, message: parsed.success ? "" : formatIssues(parsed.error) };
}

it.each(operationNames)("%s: what is taken without zod, and what is refused, is what zod takes and refuses", (name) => {
  const { input: schema } = operations[name];
  fc.assert(
    fc.property(
      inputsOf(name).filter((input) => checkJsonShape(input) === null),
      (input) => {
        const { text, message } = zodOf(schema, input);
        const checked = checkFields(name, input);
        if (text === null)
          expect(checked).toEqual({ ok: false, error: { code: "bad_input", message: `${name}: ${message}` } });
        else expect(checked.ok && exactText(checked.value.input)).toBe(text);
      },
    ),
    { numRuns: 100 },
  );
  const { input, example } = operations[name];
  expect(compileSchema(input)(example)).not.toBe(undecided);
});

const rich = {
  type: "build",
  payload: { b: [1, { c: null }], a: -0, "": "\ud800" },
  tags: ["t"],
  dependsOn: ["r1", 4],
  parent: 7,
  ref: "r2",
  affinity: undefined,
  backoff: { hasJitter: false },
  budget: { tokens: 5, wallMs: undefined },
  joinRule: "collect",
  delayMs: undefined,
};

it("absent, undefined and given fields of a task have zod's values, in zod's order", () => {
  const input = { requestId: "q", tasks: [rich, { payload: "x", type: "t" }, { type: "t", ref: "r1" }] };
  const { text } = zodOf(operations["tasks.submit"].input, input);
  expect(exactText(compileSchema(operations["tasks.submit"].input)(input))).toBe(text);
});

it("defaults are not shared by two values", () => {
  const compiled = compileSchema(operations["tasks.submit"].input);
  const submitted = (): unknown => (compiled({ tasks: [{ type: "t" }] }) as { tasks: unknown[] }).tasks[0];
  const [one, other] = [submitted(), submitted()] as [typeof rich, typeof rich];
  one.tags.push("changed");
  one.backoff.hasJitter = false;
  expect(other).toMatchObject({ tags: [], backoff: { hasJitter: true } });
});

it("a schema that contains itself is compiled", () => {
  const folder = z.strictObject({
    name: z.string().default("new"),
    get folders() {
      return z.array(folder).optional();
    },
  });
  const compiled = compileSchema(folder);
  for (const value of [{}, { folders: [{ folders: [{ name: "a" }] }] }, { folders: [{ folders: [1] }] }]) {
    const result = compiled(value);
    expect(result === undecided ? null : exactText(result)).toBe(zodOf(folder, value).text);
  }
});

const word = z.string().regex(/^[a-c]*$/);

/** Leaves that are compiled, and others that are left to zod. */
const leaves: readonly z.ZodType[] = [
  z.string(),
  z.string().max(2),
  z.string().min(1),
  z.string().min(2),
  word,
  z.string().regex(/a/g),
  z.string().trim().max(1),
  z.string().refine((text) => text.isWellFormed()),
  z.email(),
  z.number(),
  z.number().gt(-1).lt(3),
  z.number().multipleOf(2),
  z.int(),
  z.int().min(-1).max(3),
  z.int32(),
  z.boolean(),
  z.unknown(),
  z.unknown().refine((value) => value !== 1),
  z.any(),
  z.null(),
  z.undefined(),
  z.enum(["a", "b"]),
  z.literal(["a", 0, null]),
  z.union([z.int(), word]),
  z.union([z.string().trim(), z.string()]),
  z.union([z.strictObject({ a: z.int() }), z.strictObject({ a: z.string() })]),
  z.xor([z.int(), z.number()]),
  z.coerce.number(),
  z.string().transform((text) => `${text}!`),
  z.string().catch("caught"),
  z.string().readonly(),
  z.lazy(() => word),
  z.custom<string>((value) => value === "a"),
  z.tuple([z.int()]),
  z.string().superRefine((text, context) => {
    if (text === "b") context.addIssue("no b");
  }),
];

const objectOf = (shape: Record<string, z.ZodType>, kind: number): z.ZodType => {
  if (kind === 0) return z.object(shape);
  if (kind === 1) return z.looseObject(shape);
  if (kind === 2) return z.strictObject(shape).refine((value) => Object.keys(value).length !== 2);
  return z.strictObject(shape);
};

const wrappers: readonly ((schema: z.ZodType) => z.ZodType)[] = [
  (schema) => schema.optional(),
  (schema) => schema.nullable(),
  (schema) => schema.default("d"),
  (schema) => schema.default([]),
  (schema) => schema.default({ a: [1] }),
  (schema) => schema.prefault("a"),
  (schema) => schema.prefault({}),
  (schema) => schema.optional().default(undefined),
  (schema) => z.exactOptional(schema),
  (schema) => schema.default(1).optional(),
  (schema) => schema.nonoptional(),
  (schema) => z.array(schema).max(2),
  (schema) => z.array(schema).min(1),
  (schema) => z.array(schema).refine((items) => items[0] !== 1),
  (schema) => z.record(z.string().max(1), schema),
  (schema) => z.record(z.enum(["a", "b"]), schema),
  (schema) => z.partialRecord(z.enum(["a", "b"]), schema),
  (schema) => z.looseRecord(word, schema),
  (schema) =>
    z.discriminatedUnion("a", [z.strictObject({ a: z.literal("a"), b: schema }), z.object({ a: z.literal(["b", 0]) })]),
];

const { schema: schemas } = fc.letrec<{ schema: z.ZodType }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom(...leaves),
    fc.tuple(fc.constantFrom(...wrappers), tie("schema")).map(([wrap, schema]) => wrap(schema)),
    fc
      .tuple(fc.dictionary(fc.constantFrom("b", "a", "c", "1"), tie("schema"), { maxKeys: 4 }), fc.nat(6))
      .map(([shape, kind]) => objectOf(shape, kind)),
  ),
}));

const key = fc.constantFrom("a", "b", "c", "1", "constructor", "__proto__");
const { value: values } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom<unknown>(
      "a",
      "b",
      "",
      "aa",
      " a",
      "\ud83d\ude00x",
      "\ud800",
      "a@b.de",
      null,
      undefined,
      true,
      new Date(0),
    ),
    fc.constantFrom<unknown>(0, -0, 1, 2, 0.5, Number.NaN, Infinity, 2 ** 53, Symbol.iterator, 1n, new Map()),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(key, tie("value"), { maxKeys: 4 }),
    fc.dictionary(key, tie("value"), { maxKeys: 3, noNullPrototype: true }),
  ),
}));

it("any schema: a value that is taken without zod is zod's @night", () => {
  let taken = 0;
  fc.assert(
    fc.property(schemas, fc.array(values, { minLength: 30, maxLength: 30 }), (schema, given) => {
      const compiled = compileSchema(schema);
      for (const value of given) {
        const result = compiled(value);
        if (result === undecided) continue;
        taken++;
        const { text, message } = zodOf(schema, value);
        expect(text, message).toBe(exactText(result));
      }
    }),
    { numRuns: 2_000 },
  );
  expect(taken).toBeGreaterThan(5_000);
});

interface JsonSchema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly default?: unknown;
  readonly description?: string;
  readonly form?: string;
}

it("the fields of each operation are as zod's JSON schema has them", () => {
  for (const { input } of Object.values({ ...machineOperations, ...operations })) {
    const { properties = {}, required = [] } = z.toJSONSchema(input, { io: "input" }) as {
      properties?: Record<string, JsonSchema>;
      required?: string[];
    };
    const expected = Object.entries(properties).map(([name, field]) => [
      name,
      { ...shown(field), form: field.form, isRequired: required.includes(name) },
    ]);
    const read = Object.entries(inputFields(input)).map(([name, field]) => [
      name,
      { ...shown(field as JsonSchema), form: field.meta["form"], isRequired: field.isRequired },
    ]);
    expect(read).toEqual(expected);
  }
});

it("a field of any JSON has no type, and a description outside of a default wins", () => {
  expect(field(z.json())).not.toHaveProperty("type");
  expect(field(z.string().describe("inner").default("a").describe("outer"))).toMatchObject({
    type: "string",
    default: "a",
    description: "outer",
    isRequired: false,
  });
});

function shown({ type, enum: values, anyOf, items, default: usual, description }: JsonSchema) {
  return { type, values, anyOf: anyOf?.map((one) => one.type), items: items?.type, usual, description };
}

function field(schema: z.ZodType): InputField | undefined {
  return inputFields(z.object({ field: schema }))["field"];
}

it("a field's text from a command line is read as the field's type where it is one, else it stays a text", () => {
  const schema = z.strictObject({
    text: z.string().nullable(),
    n: z.int(),
    share: z.number(),
    is: z.boolean(),
    list: z.array(z.string()),
    any: z.json(),
  });
  for (const [field, text, value] of [
    ["text", "12", "12"],
    ["text", "null", "null"],
    ["n", "12", 12],
    ["n", "1e2", "1e2"],
    ["share", "0.5", 0.5],
    ["is", "true", true],
    ["is", "1", "1"],
    ["list", '["a"]', ["a"]],
    ["list", "a", "a"],
    ["any", '{"a":1}', { a: 1 }],
    ["any", "hello", "hello"],
    ["other", "1", "1"],
  ] as const)
    expect(fromTexts(schema, { [field]: text })).toEqual({ [field]: value });
});
