import * as z from "zod";
import { jsonOrText } from "./json-fields.ts";

/** A field of an input, as far as a command line or a query has to know it. */
export interface InputField {
  /** JSON schema's word; absent: one of `anyOf`, else any JSON. */
  readonly type?: "string" | "integer" | "number" | "boolean" | "array" | "object" | "null" | undefined;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly InputField[];
  readonly items?: InputField;
  readonly default?: unknown;
  readonly isRequired: boolean;
  readonly description?: string;
  /** Metadata of the schema, such as the form in which a person writes it. */
  readonly meta: Readonly<Record<string, unknown>>;
}

export type InputFields = Readonly<Record<string, InputField>>;

const fieldsBySchema = new WeakMap<z.core.$ZodObject, InputFields>();

/** Reads what each field declares; zod's JSON schema says the same in seven times the time. */
export function inputFields(schema: z.core.$ZodObject): InputFields {
  const known = fieldsBySchema.get(schema);
  if (known) return known;
  const entries = Object.entries(schema._zod.def.shape).map(([name, field]) => [name, fieldOf(field)] as const);
  const fields: InputFields = Object.fromEntries(entries);
  fieldsBySchema.set(schema, fields);
  return fields;
}

function fieldOf(schema: z.core.$ZodType): InputField {
  const { def, optin } = schema._zod;
  const declared: Declared = readers[def.type]?.(def as never) ?? {};
  const meta = { ...declared.meta, ...z.globalRegistry.get(schema) };
  const description = typeof meta["description"] === "string" ? { description: meta["description"] } : {};
  return { ...declared, ...description, meta, isRequired: optin === undefined };
}

type Declared = Partial<InputField>;
type Reader = (def: never) => Declared;

const readInner = ({ innerType }: { readonly innerType: z.core.$ZodType }): Declared => fieldOf(innerType);
const readDefault = ({ innerType, defaultValue }: z.core.$ZodDefaultDef): Declared => ({
  ...fieldOf(innerType),
  default: defaultValue,
});
const nothing: InputField = { type: "null", isRequired: true, meta: {} };

/** Kinds of schemas that are not listed take any JSON. */
const readers: Readonly<Partial<Record<string, Reader>>> = {
  optional: readInner,
  nonoptional: readInner,
  readonly: readInner,
  catch: readInner,
  default: readDefault,
  prefault: readDefault,
  pipe: (def: z.core.$ZodPipeDef) => fieldOf(def.in),
  nullable({ innerType }: z.core.$ZodNullableDef) {
    const inner = fieldOf(innerType);
    return { default: inner.default, meta: inner.meta, anyOf: [inner, nothing] };
  },
  union: (def: z.core.$ZodUnionDef) => ("discriminator" in def ? {} : { anyOf: def.options.map(fieldOf) }),
  array: (def: z.core.$ZodArrayDef) => ({ type: "array", items: fieldOf(def.element) }),
  enum: (def: z.core.$ZodEnumDef) => ({ type: "string", enum: Object.values(def.entries).map(String) }),
  number: (def: object) => ({ type: "format" in def ? "integer" : "number" }),
  literal: ({ values: [value] }: z.core.$ZodLiteralDef<string | number | boolean>) => ({
    type: typeof value as "string" | "number" | "boolean",
  }),
  string: () => ({ type: "string" }),
  boolean: () => ({ type: "boolean" }),
  object: () => ({ type: "object" }),
  record: () => ({ type: "object" }),
  null: () => ({ type: "null" }),
};

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
