import { format as formats } from "@cfworker/json-schema";
import type { Json } from "../contract/values.ts";
import type { JsonObject } from "./schema-parts.ts";

/** What the keywords of a JSON Schema ask of one value, whatever lies in it. Pure. */

export function typeOf(value: Json): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

export function wrongType(type: Json | undefined, value: Json): string | null {
  const wanted = type === undefined ? [] : [type].flat().map(String);
  const isRight = wanted.some((one) => (one === "integer" ? Number.isInteger(value) : one === typeOf(value)));
  return isRight || type === undefined ? null : `is of type ${typeOf(value)}, not ${wanted.join(" or ")}`;
}

/** How many there are, against how many there may be. */
export function wrongCount(count: number, what: string, least: Json = 0, most: Json = count): string | null {
  if (count < Number(least)) return `has ${count} ${what}, at least ${Number(least)} are asked for`;
  return count > Number(most) ? `has ${count} ${what}, at most ${Number(most)} are allowed` : null;
}

const bounds: Readonly<
  Record<string, { readonly isOver: (value: number, bound: number) => boolean; readonly why: string }>
> = {
  minimum: { isOver: (value, bound) => value < bound, why: "is less than" },
  maximum: { isOver: (value, bound) => value > bound, why: "is more than" },
  exclusiveMinimum: { isOver: (value, bound) => value <= bound, why: "is not more than" },
  exclusiveMaximum: { isOver: (value, bound) => value >= bound, why: "is not less than" },
  multipleOf: { isOver: (value, bound) => !isMultiple(value, bound), why: "is not a multiple of" },
};

export function wrongNumber(schema: JsonObject, value: number): string | null {
  for (const [keyword, { isOver, why }] of Object.entries(bounds)) {
    const bound = schema[keyword];
    if (bound !== undefined && isOver(value, Number(bound))) return `${why} ${Number(bound)}`;
  }
  return null;
}

function isMultiple(value: number, of: number): boolean {
  const times = value / of;
  // 0.3 is three times 0.1, but for a rounding.
  return Math.abs(times - Math.round(times)) <= Math.abs(times) * Number.EPSILON;
}

/** Longer texts have none of the formats. */
const mostFormatChars = 1_000;

/** Those whose check takes time linear in the text; others ask for nothing. */
export const formatNames: ReadonlySet<string> = new Set([
  "date",
  "date-time",
  "duration",
  "email",
  "hostname",
  "ipv4",
  "ipv6",
  "json-pointer",
  "relative-json-pointer",
  "time",
  "uri",
  "uri-reference",
  "uri-template",
  "uuid",
]);

export function wrongFormat(name: string, value: string): string | null {
  const isOfFormat = formatNames.has(name) ? formats[name] : undefined;
  if (!isOfFormat) return null;
  return value.length <= mostFormatChars && isOfFormat(value) ? null : `is not of format ${name}`;
}
