import { expect, it } from "vitest";
import * as z from "zod";
import { machineOperations } from "#src/contract/machine/operations.ts";
import { operations } from "#src/contract/operations.ts";
import { inputFields, type InputField } from "#src/shared/input-fields.ts";

interface JsonSchema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly default?: unknown;
  readonly description?: string;
  readonly form?: string;
}

it.each(Object.entries({ ...machineOperations, ...operations }))(
  "%s: fields are as zod's JSON schema has them",
  (_name, { input }) => {
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
  },
);

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
