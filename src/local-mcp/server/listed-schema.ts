import type { StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import type * as z from "zod";

/**
 * [MC2] A schema as the list of tools shows it: every word of the list costs each chat tokens. Left out is what is so anyway (the dialect, which is
 * the protocol's default; that an integer is one that JavaScript can hold; defaults), limits that nobody meets who means well, and of answers what
 * only a validator reads. All of it is still checked, and a refusal names the limit.
 */
export function toListed(schema: z.ZodType): StandardSchemaWithJSON {
  const standard = schema["~standard"];
  const { input, output } = standard.jsonSchema;
  return {
    "~standard": {
      ...standard,
      jsonSchema: {
        input: (options) => shorten(input(options), omittedFromInput) as Record<string, unknown>,
        output: (options) => shorten(output(options), omittedFromAnswer) as Record<string, unknown>,
      },
    },
  };
}

const omittedFromInput: ReadonlySet<string> = new Set(["$schema", "default"]);
const omittedFromAnswer: ReadonlySet<string> = new Set(["$schema", "required", "additionalProperties"]);

function shorten(schema: unknown, omitted: ReadonlySet<string>): unknown {
  if (Array.isArray(schema)) return schema.map((one) => shorten(one, omitted));
  if (typeof schema !== "object" || schema === null) return schema;
  const kept = Object.entries(schema).filter(([key, value]) => !isOmitted(key, value, omitted));
  return Object.fromEntries(kept.map(([key, value]) => [key, shorten(value, omitted)]));
}

/** Of numbers: none, or more than anybody gives. */
const numberLimits: ReadonlySet<string> = new Set(["minimum", "maximum"]);
const sizeLimits: ReadonlySet<string> = new Set(["minLength", "maxLength", "minItems", "maxItems"]);

/** A list of names, or a flag: a property may be called the same. */
function isOmitted(key: string, value: unknown, omitted: ReadonlySet<string>): boolean {
  if (typeof value === "number") return sizeLimits.has(key) || (numberLimits.has(key) && (value <= 1 || value >= 20));
  return (
    omitted.has(key) && (typeof value !== "object" || Array.isArray(value) || Object.keys(value ?? {}).length === 0)
  );
}
