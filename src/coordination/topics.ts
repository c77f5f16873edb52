import {
  dereference,
  schemaArrayKeyword,
  schemaKeyword,
  schemaMapKeyword,
  validate,
  type Schema,
} from "@cfworker/json-schema";
import type { Json } from "../contract/values.ts";
import { messageOf } from "../shared/error.ts";

/** Which topics a pattern stands for, and what their messages must look like. Pure. */

/** [MS4] `*` is one word, `**` at the end one or more, alone all. */
export function fits(pattern: string, topic: string): boolean {
  const [wanted, words] = [pattern.split("."), topic.split(".")];
  for (const [at, word] of wanted.entries()) {
    if (word === "**") return words.length > at;
    if (words[at] === undefined || (word !== "*" && word !== words[at])) return false;
  }
  return wanted.length === words.length;
}

export function isExact(pattern: string): boolean {
  return !pattern.includes("*");
}

const draft = "2019-09";

/** [MS5] Where and why a body is not what the schema asks for; null when it is. */
export function misfit(schema: Schema, body: Json): string | null {
  try {
    const { valid, errors } = validate(body, schema, draft);
    if (valid) return null;
    // The last one lies deepest.
    const { instanceLocation = "#", error = "it does not fit" } = errors.at(-1) ?? {};
    return short(`${instanceLocation}: ${error}`);
  } catch (error) {
    return short(`the schema cannot be applied to it: ${messageOf(error)}`);
  }
}

/** A schema may quote all that it allows. */
function short(text: string): string {
  const [line = ""] = text.split("\n");
  return line.length > 300 ? `${line.slice(0, 300)}...` : line;
}

/** One of each type: with them every keyword is met. */
const samples: readonly Json[] = [null, true, 1, "a", [], {}];

/** [MS5] Why a schema cannot be used; null when no part of it shows a fault. The library says nothing of most of them before a body meets them. */
export function faultOf(schema: Schema): string | null {
  try {
    const parts = dereference(schema);
    for (const part of Object.values(parts)) {
      const wrong = Object.entries(part).find(([keyword, value]) => isWrong(keyword, value));
      if (wrong) return short(`${wrong[0]} cannot be ${JSON.stringify(wrong[1])}`);
      for (const sample of samples) validate(sample, part, draft, parts);
    }
    return null;
  } catch (error) {
    return short(messageOf(error));
  }
}

const types = new Set<unknown>(["null", "boolean", "integer", "number", "string", "array", "object"]);

function isWrong(keyword: string, value: unknown): boolean {
  if (keyword === "type") return ![value].flat().every((type) => types.has(type));
  if (schemaMapKeyword[keyword]) return !isObject(value) || !Object.values(value).every(isSchema);
  if (schemaArrayKeyword[keyword] && Array.isArray(value)) return !value.every(isSchema);
  return Boolean(schemaKeyword[keyword] ?? schemaArrayKeyword[keyword]) && !isSchema(value);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSchema(value: unknown): boolean {
  return typeof value === "boolean" || isObject(value);
}
