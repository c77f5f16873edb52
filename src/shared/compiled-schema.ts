import * as z from "zod";

/** Not certainly valid: zod decides, and words a refusal. */
export const undecided = Symbol("undecided");

/** @returns the parsed value, equal to that of zod, or `undecided` */
export type CompiledSchema = (value: unknown) => unknown;

const compiling = new Set<z.core.$ZodType>();

/**
 * Compiles the objects and arrays of a schema, since most fields of a task are absent: zod's parse
 * of 500 tasks costs four times as much where the runtime forbids generated code. Everything else
 * stays with zod, and so does a schema inside itself.
 */
export function compileSchema(schema: z.core.$ZodType): CompiledSchema {
  const { def } = schema._zod;
  if (compiling.has(schema)) return parseByZod(schema);
  compiling.add(schema);
  try {
    if (def.type === "object") return compileObject(schema, def as z.core.$ZodObjectDef) ?? parseByZod(schema);
    return def.type === "array" ? compileArray(def as z.core.$ZodArrayDef) : parseByZod(schema);
  } finally {
    compiling.delete(schema);
  }
}

function parseByZod(schema: z.core.$ZodType): CompiledSchema {
  return (value) => {
    const parsed = z.safeParse(schema, value);
    return parsed.success ? parsed.data : undecided;
  };
}

/** Zod makes the checks of the list with the items as they were parsed. */
function compileArray({ element, checks = [] }: z.core.$ZodArrayDef): CompiledSchema {
  const item = compileSchema(element);
  const parseList = parseByZod(z.array(z.unknown()).check(...(checks as z.core.$ZodCheck<unknown[]>[])));
  return (value) => {
    if (!Array.isArray(value)) return undecided;
    const items = value.map(item);
    if (items.includes(undecided)) return undecided;
    return checks.length === 0 ? items : parseList(items);
  };
}

interface Field {
  readonly key: string;
  readonly parse: CompiledSchema;
  /** Value where the field is absent; undefined: it stays absent; `undecided`: it is required. */
  readonly fallback: () => unknown;
}

function compileObject(schema: z.core.$ZodType, { shape, catchall }: z.core.$ZodObjectDef): CompiledSchema | null {
  const isStrict = catchall?._zod.def.type === "never";
  const isSimple = (schema._zod.def.checks ?? []).length === 0 && (isStrict || !catchall);
  const fields = isSimple ? Object.entries(shape).map(([key, one]) => compileField(key, one)) : [null];
  if (!fields.every((field) => field !== null)) return null;
  return (value) => {
    if (!isPlain(value)) return undecided;
    const parsed: Record<string, unknown> = {};
    let given = 0;
    for (const { key, parse, fallback } of fields) {
      const isGiven = Object.hasOwn(value, key);
      const result = isGiven ? parse(value[key]) : fallback();
      if (result === undecided) return undecided;
      if (isGiven) given += 1;
      if (isGiven || result !== undefined) parsed[key] = result;
    }
    return isStrict && Object.keys(value).length > given ? undecided : parsed;
  };
}

function compileField(key: string, schema: z.core.$ZodType): Field | null {
  const { optin = "required", optout } = schema._zod;
  if (key in Object.prototype || (optout === "optional") !== (optin === "optional")) return null;
  const parse = compileSchema(schema);
  if (optin === "required") return { key, parse, fallback: () => undecided };
  if (optin === "optional") return { key, parse, fallback: () => undefined };
  const value = parse(undefined);
  if (value === undecided || value === undefined) return null;
  if (typeof value !== "object" || value === null) return { key, parse, fallback: () => value };
  // A copy costs less than parsing the default again.
  const isFlat = Object.values(value).every((part) => typeof part !== "object");
  if (!isFlat) return { key, parse, fallback: () => parse(undefined) };
  return { key, parse, fallback: () => (Array.isArray(value) ? value.slice() : { ...value }) };
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
