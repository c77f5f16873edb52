import * as z from "zod";
import { expect, it } from "vitest";
import { fromTexts } from "#src/shared/text-fields.ts";

const schema = z.strictObject({
  text: z.string().nullable(),
  n: z.int(),
  share: z.number(),
  is: z.boolean(),
  list: z.array(z.string()),
  any: z.json(),
});

it.each([
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
])("the field %s with the text %s", (field, text, value) => {
  expect(fromTexts(schema, { [field]: text })).toEqual({ [field]: value });
});
