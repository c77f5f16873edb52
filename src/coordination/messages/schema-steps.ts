import { isRecord } from "../../shared/json-fields.ts";
import type { Json } from "../../contract/json.ts";
import { messageOf } from "../../shared/error.ts";
import { patternSteps, type PatternSteps } from "./pattern-cost.ts";
import { format as formats, schemaArrayKeyword, schemaKeyword, schemaMapKeyword } from "@cfworker/json-schema";

/** Each step takes at most about a microsecond. */
const maxSteps = 50_000;
const maxNesting = 300;

const sameValueKeywords = new Set(["not", "if", "then", "else", "allOf", "anyOf", "oneOf", "dependentSchemas"]);
const itemKeywords = new Set(["prefixItems", "items", "additionalItems", "unevaluatedItems", "contains"]);
const otherPropertyKeywords = new Set(["additionalProperties", "unevaluatedProperties"]);

type SchemaApplication = readonly [schema: Json, value: Json, name?: string];

/** [MS16] Upper bound of the library's steps, as if every schema that may apply did. */
export class SchemaSteps {
  /** Targets of each `$ref`; the library's own search is quadratic in the schema. */
  readonly refs = Object.create(null) as Record<string, JsonObject | boolean>;
  readonly #sizes = new Map<JsonObject, number>();
  readonly #patterns = new Map<Json | undefined, PatternSteps>();
  #stepsLeft = maxSteps;
  #spent = 0;

  constructor(root: Json) {
    const parts = [root];
    for (const part of parts) if (isRecord(part) && !this.#sizes.has(part)) this.#read(root, part, parts);
    const stepsLeft = this.#stepsLeft;
    // Self-reference on one value, or excessive doubling, shows with any value.
    for (const part of this.#sizes.keys()) this.count(part, null);
    this.#stepsLeft = stepsLeft;
  }

  #read(root: Json, schema: JsonObject, parts: Json[]): void {
    if (schema !== root && schema["$id"] !== undefined)
      throwInvalid("$id", schema["$id"], ": it is allowed only at the top");
    let size = 0;
    for (const [keyword, value] of Object.entries(schema)) {
      checkKeyword(keyword, value);
      for (const part of schemasOf(keyword, value)) parts.push(part);
      size += sizeOf(keyword, value);
    }
    this.#sizes.set(schema, size);
    const { $ref, pattern, patternProperties } = schema;
    if (typeof $ref === "string") parts.push((this.refs[$ref] ??= partAt(root, $ref)));
    if (typeof pattern === "string") this.#readPattern("pattern", pattern);
    if (isRecord(patternProperties)) this.#readPatterns(patternProperties);
  }

  #readPatterns(all: JsonObject): void {
    for (const one of Object.keys(all)) this.#readPattern("patternProperties", one);
  }

  #readPattern(keyword: string, source: string): void {
    try {
      this.#patterns.set(source, patternSteps(source));
    } catch (error) {
      throwInvalid(keyword, source, `: ${messageOf(error)}`);
    }
    this.#spend(10 + source.length / 16 + 200 * (source.split(/\\p/i).length - 1));
  }

  /** @throws {Error} where there may be too many */
  count(root: Json, body: Json): void {
    const applications = [{ schema: root, value: body, nested: 0 }];
    for (const { schema, value, nested } of applications) {
      if (!isRecord(schema)) continue;
      if (nested > maxNesting)
        throw new Error(`more than ${maxNesting} schemas apply within each other: does one refer to itself?`);
      this.#spendOn(schema, value);
      for (const [one, part, name] of this.#applications(schema, value)) {
        // Every enclosing schema reports a mismatch.
        this.#spend(1 + nested / 32 + (name === undefined ? 0 : 4 + name.length / 32));
        applications.push({ schema: one, value: part, nested: nested + 1 });
      }
    }
  }

  #spendOn(schema: JsonObject, value: Json): void {
    this.#spend((this.#sizes.get(schema) ?? 0) / 8 + ("multipleOf" in schema ? 3 : 0));
    if (typeof value === "string") this.#spend(value.length / 8 + this.#match(schema["pattern"], value));
    else if (Array.isArray(value))
      this.#spendToCompare(schema, value, schema["uniqueItems"] === true ? value.length : 0);
    else if (isRecord(value)) this.#spendOnNames(schema, value);
  }

  #spendOnNames(schema: JsonObject, value: JsonObject): void {
    this.#spendToCompare(schema, value, 0);
    const names = Object.keys(value);
    this.#spend(names.length / 16);
    for (const source of Object.keys(schema["patternProperties"] ?? {}))
      for (const name of names) this.#spend(this.#match(source, name));
  }

  #spendToCompare({ const: only = null, enum: choices = [] }: JsonObject, value: Json, ownValues: number): void {
    const others = [only, choices].flat().filter((one) => typeof one === "object" && one !== null);
    const pairs = ownValues + others.length;
    if (pairs > 0) this.#spend((pairs * JSON.stringify(value).length) / 64);
  }

  #match(pattern: Json | undefined, text: string): number {
    return this.#patterns.get(pattern)?.(text.length) ?? 0;
  }

  /** Steps counted so far, those of the schema itself included. */
  get spent(): number {
    return this.#spent;
  }

  #spend(steps: number): void {
    this.#spent += steps;
    this.#stepsLeft -= steps;
    if (this.#stepsLeft < 0)
      throw new Error(`checking it may take more than ${maxSteps} steps; send less, or simplify the schema`);
  }

  *#applications(schema: JsonObject, value: Json): Generator<SchemaApplication> {
    for (const [keyword, part] of Object.entries(schema)) {
      if (keyword === "$ref") yield [this.refs[part as string] ?? true, value];
      else if (sameValueKeywords.has(keyword)) for (const one of schemasOf(keyword, part)) yield [one, value];
      else if (Array.isArray(value)) yield* applyToItems(keyword, part, value);
      else if (isRecord(value)) yield* applyToProperties(keyword, schema, value);
    }
  }
}

function* applyToItems(keyword: string, part: Json, items: readonly Json[]): Generator<SchemaApplication> {
  if (!itemKeywords.has(keyword)) return;
  for (const [at, value] of items.entries()) {
    const schema = Array.isArray(part) ? part[at] : part;
    if (schema === undefined) return;
    yield [schema, value];
  }
}

function* applyToProperties(keyword: string, schema: JsonObject, value: JsonObject): Generator<SchemaApplication> {
  const part = schema[keyword] ?? null;
  if (keyword === "properties") yield* applyToNamed(part, value);
  if (keyword === "propertyNames") for (const name of Object.keys(value)) yield [part, name, name];
  if (keyword === "patternProperties") yield* applyToAll(schemasOf(keyword, part), value, []);
  if (otherPropertyKeywords.has(keyword)) yield* applyToAll([part], value, Object.keys(schema["properties"] ?? {}));
}

function* applyToAll(
  schemas: readonly Json[],
  value: JsonObject,
  excluded: readonly string[],
): Generator<SchemaApplication> {
  const named = new Set(excluded);
  for (const [name, one] of Object.entries(value)) {
    if (!named.has(name)) for (const schema of schemas) yield [schema, one, name];
  }
}

function* applyToNamed(properties: Json, value: JsonObject): Generator<SchemaApplication> {
  for (const [name, schema] of Object.entries(properties ?? {})) {
    if (Object.hasOwn(value, name)) yield [schema as Json, value[name] ?? null, name];
  }
}

function partAt(root: Json, ref: string): JsonObject | boolean {
  let part: Json | undefined = root;
  for (const step of decodeURIComponent(ref).split("/").slice(1)) {
    const name = step.replaceAll("~1", "/").replaceAll("~0", "~");
    const inside: object = typeof part === "object" && part !== null ? part : {};
    part = Object.hasOwn(inside, name) ? (inside as JsonObject)[name] : undefined;
  }
  return isSchema(part)
    ? part
    : throwInvalid("$ref", ref, ': it must refer to "#", or to a part such as "#/$defs/name"');
}

/** The library accepts any schema, then fails, or passes every body. Pure. */

export interface JsonObject {
  readonly [name: string]: Json;
}

function isSchema(value: Json | undefined): value is JsonObject | boolean {
  return typeof value === "boolean" || isRecord(value);
}

function schemasOf(keyword: string, value: Json): readonly Json[] {
  if (![schemaMapKeyword, schemaArrayKeyword, schemaKeyword].some((of) => of[keyword] === true)) return [];
  const found = valuesOf(keyword, value);
  return found.every(isSchema) ? found : throwInvalid(keyword, value);
}

function valuesOf(keyword: string, value: Json): readonly Json[] {
  if (schemaMapKeyword[keyword] === true && isRecord(value)) return Object.values(value);
  if (schemaArrayKeyword[keyword] === true && Array.isArray(value)) return value;
  return schemaKeyword[keyword] === true ? [value] : [null];
}

function checkKeyword(keyword: string, value: Json): void {
  if (checks.get(keyword)?.(value) === false) throwInvalid(keyword, value);
}

/** Characters that the library reads at a keyword: its value, or the names of its schemas. */
function sizeOf(keyword: string, value: Json): number {
  const isMap = schemaMapKeyword[keyword] === true && isRecord(value);
  if (isMap || Array.isArray(value)) return JSON.stringify(checks.has(keyword) ? value : Object.keys(value)).length;
  return checks.has(keyword) ? JSON.stringify(value).length : 0;
}

function throwInvalid(keyword: string, value: Json, why = ""): never {
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
