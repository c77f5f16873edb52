import { format as formats, schemaArrayKeyword, schemaKeyword, schemaMapKeyword } from "@cfworker/json-schema";
import { isRecord } from "../../shared/json-fields.ts";
import type { Json } from "../../contract/json.ts";

/** The library accepts any schema, then fails, or passes every body. Pure. */

export interface JsonObject {
  readonly [name: string]: Json;
}

export function isSchema(value: Json | undefined): value is JsonObject | boolean {
  return typeof value === "boolean" || isRecord(value);
}

export function schemasOf(keyword: string, value: Json): readonly Json[] {
  if (![schemaMapKeyword, schemaArrayKeyword, schemaKeyword].some((of) => of[keyword] === true)) return [];
  const found = valuesOf(keyword, value);
  return found.every(isSchema) ? found : throwInvalid(keyword, value);
}

function valuesOf(keyword: string, value: Json): readonly Json[] {
  if (schemaMapKeyword[keyword] === true && isRecord(value)) return Object.values(value);
  if (schemaArrayKeyword[keyword] === true && Array.isArray(value)) return value;
  return schemaKeyword[keyword] === true ? [value] : [null];
}

export function checkKeyword(keyword: string, value: Json): void {
  if (checks.get(keyword)?.(value) === false) throwInvalid(keyword, value);
}

/** Characters that the library reads at a keyword: its value, or the names of its schemas. */
export function sizeOf(keyword: string, value: Json): number {
  const isMap = schemaMapKeyword[keyword] === true && isRecord(value);
  if (isMap || Array.isArray(value)) return JSON.stringify(checks.has(keyword) ? value : Object.keys(value)).length;
  return checks.has(keyword) ? JSON.stringify(value).length : 0;
}

export function throwInvalid(keyword: string, value: Json, why = ""): never {
  throw new Error(`${keyword} cannot be ${JSON.stringify(value).slice(0, 100)}${why}`);
}

const types = new Set<unknown>(["null", "boolean", "integer", "number", "string", "array", "object"]);
const isText = (value: Json): boolean => typeof value === "string";
const isCount = (value: Json): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
const isNumber = (value: Json): boolean => typeof value === "number";
const areNames = (value: Json): boolean => Array.isArray(value) && value.every(isText);
/** A `url` check may take exponentially many steps; `regex` compiles text of the body. */
const isFormat = (value: Json): boolean =>
  typeof value === "string" &&
  value !== "url" &&
  value !== "regex" &&
  (Object.hasOwn(formats, value) || !(value in formats));

const groups: readonly [isRight: (value: Json) => boolean, ...keywords: string[]][] = [
  [(value) => [value].flat().every((type) => types.has(type)), "type"],
  [(value) => Array.isArray(value), "enum"],
  [() => true, "const"],
  [(value) => typeof value === "boolean", "uniqueItems"],
  [isText, "pattern"],
  [isFormat, "format"],
  [isNumber, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
  [(value) => isNumber(value) && Number(value) > 0, "multipleOf"],
  [
    isCount,
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
  ],
  [areNames, "required"],
  [(value) => isRecord(value) && Object.values(value).every(areNames), "dependentRequired"],
  [(value) => typeof value === "string" && /^#(?:$|\/)/.test(value), "$ref"],
  [() => false, "dependencies", "$recursiveRef", "$recursiveAnchor", "$dynamicRef", "__absolute_ref__"],
];

const checks = new Map(
  groups.flatMap(([isRight, ...keywords]) => keywords.map((keyword) => [keyword, isRight] as const)),
);
