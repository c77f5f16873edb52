import { validate } from "@cfworker/json-schema";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Json } from "../../src/contract/values.ts";
import { misfit } from "../../src/coordination/body-schema.ts";
import { faultOf } from "../../src/coordination/schema-check.ts";

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

it("[MS5] a body fits a schema where a validator that takes all the time it needs says so", () => {
  fc.assert(
    fc.property(schema, schema, value, (drawn, one, body) => {
      const whole: Json = { allOf: [drawn], $defs: { one } };
      fc.pre(faultOf(whole) === null);
      const { valid } = validate(body, structuredClone(whole), "2019-09");
      expect([whole, body, misfit(whole, body) === null]).toEqual([whole, body, valid]);
    }),
    { numRuns: 5_000 },
  );
});
