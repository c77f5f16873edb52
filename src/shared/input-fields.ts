import * as z from "zod";
import { jsonOrText } from "./json-fields.ts";

/** A field of an input as zod's JSON schema has it, with the metadata of its schema. */
export interface InputField {
  /** Absent: one of `anyOf`, else any JSON. */
  readonly type?: "string" | "integer" | "number" | "boolean" | "array" | "object" | "null";
  readonly enum?: readonly string[];
  readonly anyOf?: readonly InputField[];
  readonly items?: InputField;
  readonly default?: unknown;
  readonly description?: string;
  readonly [meta: string]: unknown;
}

export interface InputFields {
  readonly properties: Readonly<Record<string, InputField>>;
  readonly required: readonly string[];
}

const fieldsBySchema = new WeakMap<z.ZodObject, InputFields>();

export function inputFields(schema: z.ZodObject): InputFields {
  const known = fieldsBySchema.get(schema);
  if (known) return known;
  const { properties, required } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  const fields = { properties: (properties ?? {}) as InputFields["properties"], required: required ?? [] };
  fieldsBySchema.set(schema, fields);
  return fields;
}

/**
 * Texts of a query or a command line as values of the schema's types. A text that fits none stays
 * one, so that the schema refuses it; where any JSON fits, a text that is no JSON is a string.
 */
export function fromTexts(
  schema: z.ZodObject,
  texts: Readonly<Record<string, string>>,
): Readonly<Record<string, unknown>> {
  const { properties } = inputFields(schema);
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, toValue(text, properties[name])]));
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
