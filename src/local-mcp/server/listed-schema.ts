import type { StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import type * as z from "zod";

/**
 * [MC2] Shortens a schema for the tool list, where every word costs each chat tokens. What is
 * omitted is still checked, and a refusal names the limit.
 */
export function toListed(schema: z.ZodType, hiddenFields: readonly string[] = []): StandardSchemaWithJSON {
  const standard = schema["~standard"];
  const { input, output } = standard.jsonSchema;
  return {
    "~standard": {
      ...standard,
      jsonSchema: {
        input: (options) => ({
          ...(shorten(withoutFields(input(options), hiddenFields), omittedFromInput) as Record<string, unknown>),
          additionalProperties: false,
        }),
        output: (options) => shorten(output(options), omittedFromAnswer) as Record<string, unknown>,
      },
    },
  };
}

function withoutFields(schema: Record<string, unknown>, hidden: readonly string[]): Record<string, unknown> {
  const kept = Object.entries(schema["properties"] ?? {}).filter(([name]) => !hidden.includes(name));
  return { ...schema, properties: Object.fromEntries(kept) };
}

const omittedFromInput: ReadonlySet<string> = new Set(["$schema", "default", "additionalProperties"]);
const omittedFromAnswer: ReadonlySet<string> = new Set(["$schema", "required", "additionalProperties"]);

function shorten(schema: unknown, omitted: ReadonlySet<string>): unknown {
  if (Array.isArray(schema)) return schema.map((one) => shorten(one, omitted));
  if (typeof schema !== "object" || schema === null) return schema;
  const kept = Object.entries(schema).filter(([key, value]) => !isOmitted(key, value, omitted));
  return Object.fromEntries(kept.map(([key, value]) => [key, shorten(value, omitted)]));
}

const numberLimits: ReadonlySet<string> = new Set(["minimum", "maximum"]);
const sizeLimits: ReadonlySet<string> = new Set(["minLength", "maxLength", "minItems", "maxItems"]);

/** A property may have a keyword's name: its value is then a schema. */
function isOmitted(key: string, value: unknown, omitted: ReadonlySet<string>): boolean {
  if (typeof value === "number") return sizeLimits.has(key) || (numberLimits.has(key) && (value <= 1 || value >= 20));
  return (
    omitted.has(key) && (typeof value !== "object" || Array.isArray(value) || Object.keys(value ?? {}).length === 0)
  );
}
