import type { Json } from "../contract/values.ts";
import { messageOf } from "../shared/error.ts";
import { compile } from "./linear-pattern.ts";
import { formatNames } from "./schema-values.ts";
import { childrenOf, isObject, textOf, type JsonObject } from "./schema-parts.ts";

/** Whether a JSON Schema can be used, before any body meets it. Pure. */

/** Subschemas that look at one value: where parts refer to each other they can double with each step. */
const mostForOneValue = 1_000;

/** [MS5] [MS16] Why a schema cannot be used; null when no part of it shows a fault. */
export function faultOf(schema: Json): string | null {
  try {
    new Walk(schema).all();
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

class Walk {
  readonly #root: Json;
  /** Of each part how many subschemas look at a value that it looks at, itself among them. */
  readonly #counts = new Map<JsonObject, number>();
  /** Parts that look at the same value as the one that is looked at now. */
  readonly #open = new Set<JsonObject>();

  constructor(root: Json) {
    this.#root = root;
  }

  all(): void {
    const parts = [this.#root];
    for (const part of parts) this.#count(part, parts);
  }

  /** @param inside is added the parts for what is in the value */
  #count(schema: Json, inside: Json[]): number {
    if (!isObject(schema)) return 1;
    const known = this.#counts.get(schema);
    if (known !== undefined) return known;
    if (this.#open.has(schema)) throw new Error("a part refers to itself for the same value, without an end");
    this.#open.add(schema);
    this.#checkKeywords(schema);
    let count = 1;
    for (const child of childrenOf(this.#root, schema)) {
      if (child.isInPlace) count += this.#count(child.schema, inside);
      else inside.push(child.schema);
    }
    if (count > mostForOneValue)
      throw new Error(`one value would be looked at by more than ${mostForOneValue} of its parts`);
    this.#open.delete(schema);
    this.#counts.set(schema, count);
    return count;
  }

  #checkKeywords(schema: JsonObject): void {
    if (schema !== this.#root && schema["$id"] !== undefined) throw new Error("$id stands at the top only");
    for (const [keyword, value] of Object.entries(schema)) {
      const isRight = checks[keyword];
      if (isRight && !isRight(value)) throw new Error(`${keyword} cannot be ${JSON.stringify(value)}`);
    }
    const { pattern, patternProperties } = schema;
    if (pattern !== undefined) compile(textOf("pattern", pattern));
    if (isObject(patternProperties)) for (const source of Object.keys(patternProperties)) compile(source);
  }
}

const types = new Set<unknown>(["null", "boolean", "integer", "number", "string", "array", "object"]);
/** Their check may take long, or nobody knows what they stand for any more. */
const refusedFormats = new Set<unknown>(["url", "regex", "json-pointer-uri-fragment"]);

const isNumber = (value: Json): boolean => typeof value === "number";
const isText = (value: Json): boolean => typeof value === "string";
const isCount = (value: Json): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
const areNames = (value: Json): boolean => Array.isArray(value) && value.every(isText);

const checks: Readonly<Record<string, (value: Json) => boolean>> = {
  type: (value) => [value].flat().every((type) => types.has(type)),
  enum: (value) => Array.isArray(value),
  required: areNames,
  dependentRequired: (value) => isObject(value) && Object.values(value).every(areNames),
  pattern: isText,
  format: (value) => typeof value === "string" && (formatNames.has(value) || !refusedFormats.has(value)),
  uniqueItems: (value) => typeof value === "boolean",
  multipleOf: (value) => typeof value === "number" && value > 0,
  ...Object.fromEntries(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"].map((name) => [name, isNumber])),
  ...Object.fromEntries(
    [
      "minLength",
      "maxLength",
      "minItems",
      "maxItems",
      "minContains",
      "maxContains",
      "minProperties",
      "maxProperties",
    ].map((name) => [name, isCount]),
  ),
};
