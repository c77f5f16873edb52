import * as z from "zod";
import { jsonOrText } from "./json-fields.ts";

interface FieldSchema {
  readonly type?: string;
  readonly anyOf?: readonly FieldSchema[];
}
type Fields = Readonly<Record<string, FieldSchema>>;

const fieldsBySchema = new WeakMap<z.ZodObject, Fields>();

/**
 * Texts of a query or a command line as values of the schema's types. A text that fits none stays
 * one, so that the schema refuses it; where any JSON fits, a text that is no JSON is a string.
 */
export function fromTexts(
  schema: z.ZodObject,
  texts: Readonly<Record<string, string>>,
): Readonly<Record<string, unknown>> {
  const fields = fieldsBySchema.get(schema) ?? fieldsOf(schema);
  fieldsBySchema.set(schema, fields);
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, toValue(text, fields[name])]));
}

function fieldsOf(schema: z.ZodObject): Fields {
  const { properties = {} } = z.toJSONSchema(schema, { io: "input" }) as { properties?: Fields };
  return properties;
}

function toValue(text: string, field: FieldSchema | undefined): unknown {
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
