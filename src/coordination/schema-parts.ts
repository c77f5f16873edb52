import type { Json } from "../contract/values.ts";

/** The parts of a JSON Schema, and how they refer to each other. Pure. */

export interface JsonObject {
  readonly [name: string]: Json;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Of a keyword whose value must be a text. */
export function textOf(keyword: string, value: Json): string {
  if (typeof value !== "string") throw new Error(`${keyword} cannot be ${JSON.stringify(value)}`);
  return value;
}

/** Of a keyword whose value must be a list; absent, it is empty. */
export function listOf(keyword: string, value: Json | undefined): readonly Json[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new Error(`${keyword} cannot be ${JSON.stringify(value)}`);
  return value;
}

/** Of a keyword whose value must be an object; absent, it is empty. */
export function mapOf(keyword: string, value: Json | undefined): readonly [string, Json][] {
  if (value === undefined) return [];
  if (!isObject(value)) throw new Error(`${keyword} cannot be ${JSON.stringify(value)}`);
  return Object.entries(value);
}

/** @throws {Error} where a reference does not lead to a part of the schema itself */
export function partOf(root: Json, ref: string): Json {
  if (ref === "#") return root;
  if (!ref.startsWith("#/"))
    throw new Error(`$ref cannot be ${JSON.stringify(ref)}: it leads to "#", or to a part such as "#/$defs/name"`);
  let part: Json | undefined = root;
  for (const step of ref.slice(2).split("/")) {
    const name = decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
    part = stepInto(part, name);
  }
  if (part === undefined) throw new Error(`$ref cannot be ${JSON.stringify(ref)}: there is no such part`);
  return part;
}

function stepInto(part: Json | undefined, name: string): Json | undefined {
  if (Array.isArray(part)) return part[Number(name)];
  return isObject(part) && Object.hasOwn(part, name) ? part[name] : undefined;
}

type Shape = "one" | "list" | "map" | "items" | "dependencies";

/** What each keyword with schemas has; those for the same value, and those for what is in it. */
const inPlace: Readonly<Record<string, Shape>> = {
  ...Object.fromEntries(["not", "if", "then", "else"].map((keyword) => [keyword, "one"] as const)),
  allOf: "list",
  anyOf: "list",
  oneOf: "list",
  dependentSchemas: "map",
  dependencies: "dependencies",
};
const inside: Readonly<Record<string, Shape>> = {
  items: "items",
  additionalItems: "one",
  unevaluatedItems: "one",
  contains: "one",
  additionalProperties: "one",
  unevaluatedProperties: "one",
  propertyNames: "one",
  prefixItems: "list",
  properties: "map",
  patternProperties: "map",
  $defs: "map",
  definitions: "map",
};

const shapes: Readonly<Record<Shape, (keyword: string, value: Json) => readonly Json[]>> = {
  one: (_, value) => [value],
  list: listOf,
  map: (keyword, value) => mapOf(keyword, value).map(([, one]) => one),
  items: (_, value) => (Array.isArray(value) ? value : [value]),
  dependencies: (keyword, value) => mapOf(keyword, value).flatMap(([, one]) => (Array.isArray(one) ? [] : [one])),
};

export interface Child {
  readonly schema: Json;
  /** It looks at the same value. */
  readonly isInPlace: boolean;
}

/** @throws {Error} where a keyword does not have the schemas that it should have */
export function childrenOf(root: Json, schema: JsonObject): Child[] {
  return Object.entries(schema).flatMap(([keyword, value]) => {
    const shape = inPlace[keyword] ?? inside[keyword];
    const isRef = keyword === "$ref" || keyword === "$recursiveRef";
    const found = isRef ? [partOf(root, textOf(keyword, value))] : shape ? shapes[shape](keyword, value) : [];
    const bad = found.find((one) => typeof one !== "boolean" && !isObject(one));
    if (bad !== undefined) throw new Error(`${keyword} cannot be ${JSON.stringify(bad)}`);
    return found.map((one) => ({ schema: one, isInPlace: isRef || keyword in inPlace }));
  });
}
