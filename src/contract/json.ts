import * as z from "zod";

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

const checked = z.unknown().refine(isJson, { error: "not a JSON value", abort: true });

/** Any JSON value; the parsed value is the given one, not a copy. */
export const Json = checked as unknown as z.ZodType<Json, Json>;

export function limitedJson(maxChars: number): z.ZodType<Json, Json> {
  return Json.refine((value) => writeText(value).length <= maxChars, `at most ${maxChars} characters as JSON`);
}

/** Recursive; what comes from outside is checked for its depth first. */
function isJson(value: unknown): boolean {
  if (value === null || typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value !== "object") return Number.isFinite(value);
  if (Array.isArray(value)) return Array.from(value).every(isJson);
  const prototype: unknown = Object.getPrototypeOf(value);
  return (prototype === Object.prototype || prototype === null) && Object.values(value).every(isJson);
}

/** Texts of objects that a limit has measured; each check of an input replaces the text. */
const texts = new WeakMap<object, string>();

function writeText(value: Json): string {
  const text = JSON.stringify(value);
  if (typeof value === "object" && value !== null) texts.set(value, text);
  return text;
}

/** JSON text of a value of a checked input with a limit, which is not written a second time. */
export function jsonText(value: Json): string {
  return (typeof value === "object" && value !== null && texts.get(value)) || JSON.stringify(value);
}
