import { expect, it } from "vitest";
import * as z from "zod";
import { operationNames, operations } from "#src/contract/operations.ts";
import { formatIssues } from "#src/shared/bad-input.ts";
import { checkFields, compileSchema, undecided, checkJsonShape } from "#src/shared/check-input.ts";
import { inputFields, fromTexts } from "#src/shared/input-fields.ts";
import { inputsOf } from "#harness/coordinator/hostile.ts";
import { forAll } from "#harness/properties.ts";

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
  const inputs = inputsOf(name).filter((input) => checkJsonShape(input) === null);
  forAll(100, [inputs], (input) => {
    const { text, message } = zodOf(schema, input);
    const checked = checkFields(name, input);
    const error = { code: "bad_input", message: `${name}: ${message}` };
    if (text === null) expect(checked).toEqual({ ok: false, error });
    else expect(checked.ok && exactText(checked.value.input)).toBe(text);
  });
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

it("what no operation has is zod's as well: a schema that contains itself, checks of an object, and other kinds of objects", () => {
  const folder = z.strictObject({
    name: z.string().default("new"),
    get folders() {
      return z.array(folder).optional();
    },
  });
  const shape = { name: z.string().trim().prefault(" a "), folders: z.tuple([z.int()]).optional() };
  const few = z.strictObject(shape).refine((value) => Object.keys(value).length < 2);
  const nested = [{ folders: [{ folders: [{ name: "a" }] }] }, { folders: [{ folders: [1] }] }];
  const values: readonly object[] = [{}, { name: "" }, { name: 1 }, { folders: [1] }, { more: 1 }, ...nested];
  for (const schema of [folder, few, z.object(shape), z.looseObject(shape), z.array(few).max(1)])
    for (const value of schema instanceof z.ZodArray ? values.map((one) => [one]) : values) {
      const result = compileSchema(schema)(value);
      const { text } = zodOf(schema, value);
      if (result !== undecided) expect(exactText(result)).toBe(text);
      else if (schema === folder) expect(text).toBeNull();
    }
});

it("a field of any JSON has no type, and a description outside of a default wins", () => {
  const any = z.json();
  const outer = z.string().describe("inner").default("a").describe("outer").meta({ form: "file" });
  const { properties, required } = inputFields(z.object({ any, outer }));
  expect(properties["any"]).not.toHaveProperty("type");
  expect(properties["outer"]).toMatchObject({ type: "string", default: "a", description: "outer", form: "file" });
  expect(required).toEqual(["any"]);
});

it("a field's text from a command line is read as the field's type where it is one, else it stays a text", () => {
  const kinds = { n: z.int(), share: z.number(), is: z.boolean(), list: z.array(z.string()), any: z.json() };
  const schema = z.strictObject({ text: z.string().nullable(), ...kinds });
  const texts = { n: "12", share: "0.5", is: "true", list: '["a"]', any: '{"a":1}' };
  expect(fromTexts(schema, texts)).toEqual({ n: 12, share: 0.5, is: true, list: ["a"], any: { a: 1 } });
  const others = { text: "12", n: "1e2", is: "1", list: "a", any: "hello", other: "1" };
  for (const stays of [others, { text: "null" }]) expect(fromTexts(schema, stays)).toEqual(stays);
});
