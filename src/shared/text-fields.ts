import type * as z from "zod";
import { inputFields, type InputField } from "./input-fields.ts";
import { jsonOrText } from "./json-fields.ts";

/**
 * Texts of a query or a command line as values of the schema's types. A text that fits none stays
 * one, so that the schema refuses it; where any JSON fits, a text that is no JSON is a string.
 */
export function fromTexts(
  schema: z.ZodObject,
  texts: Readonly<Record<string, string>>,
): Readonly<Record<string, unknown>> {
  const fields = inputFields(schema);
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, toValue(text, fields[name])]));
}

function toValue(text: string, field: InputField | undefined): unknown {
  if (field === undefined) return text;
  const types = (field.anyOf ?? [field]).map(({ type }) => type);
  if (types.includes("string")) return text;
  const value = jsonOrText(text);
  return types.some((type) => type === undefined || isOfType(value, type, text)) ? value : text;
}

function isOfType(value: unknown, type: string, text: string): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "integer" || type === "number") return /^-?\d{1,16}(?:\.\d{1,16})?$/.test(text);
  return typeof value === type;
}
