import type { StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import type * as z from "zod";

/**
 * [MC2] A schema as the list of tools shows it: every word of the list costs each chat tokens. Left out is what is so anyway (the dialect, which is
 * the protocol's default; that an integer is one that JavaScript can hold; defaults), limits that nobody meets who means well, and of answers what
 * only a validator reads. All of it is still checked, and a refusal names the limit.
 */
export function listed(schema: z.ZodType): StandardSchemaWithJSON {
  const standard = schema["~standard"];
  const { input, output } = standard.jsonSchema;
  return {
    "~standard": {
      ...standard,
      jsonSchema: {
        input: (options) => shortened(input(options), ofInput) as Record<string, unknown>,
        output: (options) => shortened(output(options), ofAnswer) as Record<string, unknown>,
      },
    },
  };
}

const ofInput: ReadonlySet<string> = new Set(["$schema", "default"]);
const ofAnswer: ReadonlySet<string> = new Set(["$schema", "required", "additionalProperties"]);

function shortened(schema: unknown, needless: ReadonlySet<string>): unknown {
  if (Array.isArray(schema)) return schema.map((one) => shortened(one, needless));
  if (typeof schema !== "object" || schema === null) return schema;
  const kept = Object.entries(schema).filter(([key, value]) => !isNeedless(key, value, needless));
  return Object.fromEntries(kept.map(([key, value]) => [key, shortened(value, needless)]));
}

/** Of numbers: none, or more than anybody gives. */
const limits: ReadonlySet<string> = new Set(["minimum", "maximum"]);
const sizes: ReadonlySet<string> = new Set(["minLength", "maxLength", "minItems", "maxItems"]);

/** A list of names, or a flag: a property may be called the same. */
function isNeedless(key: string, value: unknown, needless: ReadonlySet<string>): boolean {
  if (typeof value === "number") return sizes.has(key) || (limits.has(key) && (value <= 1 || value >= 20));
  return (
    needless.has(key) && (typeof value !== "object" || Array.isArray(value) || Object.keys(value ?? {}).length === 0)
  );
}
