import * as z from "zod";

/** Not certainly valid: zod decides, and words a refusal. */
export const undecided = Symbol("undecided");

/** @returns the parsed value, equal to that of zod, or `undecided` */
export type CompiledSchema = (value: unknown) => unknown;

const compiling = new Set<z.core.$ZodType>();

/**
 * Compiles a schema to closures for JSON values, which cost a fifth of zod's parse where the
 * runtime forbids generated code. Kinds of schemas and checks that are not listed here stay with
 * zod, and so does a schema inside itself. A default that is no object is a constant.
 */
export function compileSchema(schema: z.core.$ZodType): CompiledSchema {
  if (compiling.has(schema)) return parseByZod(schema);
  compiling.add(schema);
  try {
    return compile(schema) ?? parseByZod(schema);
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

/** @returns null for a kind of schema or check that is not listed */
function compile(schema: z.core.$ZodType): CompiledSchema | null {
  const parse = compileType(schema);
  const checks = (schema._zod.def.checks ?? []).map((check) => compileCheck(check));
  if (!parse || checks.length === 0) return parse;
  if (!checks.every((check) => check !== null)) return null;
  return (value) => {
    const parsed = parse(value);
    if (parsed === undecided) return undecided;
    for (const check of checks) if (!check(parsed as never)) return undecided;
    return parsed;
  };
}

type Check = (value: never) => boolean;

function compileCheck({ _zod: { def } }: z.core.$ZodCheck): Check | null {
  return checkCompilers[def.check]?.(def as never) ?? null;
}

const checkCompilers: Readonly<Partial<Record<string, (def: never) => Check | null>>> = {
  less_than({ value, inclusive }: z.core.$ZodCheckLessThanDef) {
    const bound = Number(value);
    return inclusive ? (given: number) => given <= bound : (given: number) => given < bound;
  },
  greater_than({ value, inclusive }: z.core.$ZodCheckGreaterThanDef) {
    const bound = Number(value);
    return inclusive ? (given: number) => given >= bound : (given: number) => given > bound;
  },
  /** Zod counts code points, which are never more than units of UTF-16. */
  max_length({ maximum }: z.core.$ZodCheckMaxLengthDef) {
    return ({ length }: { length: number }) => length <= maximum;
  },
  min_length({ minimum }: z.core.$ZodCheckMinLengthDef) {
    return minimum > 1 ? null : ({ length }: { length: number }) => length >= minimum;
  },
  string_format({ format, pattern }: z.core.$ZodCheckStringFormatDef) {
    if (format !== "regex" || !pattern || pattern.global || pattern.sticky) return null;
    return (text: string) => pattern.test(text);
  },
  custom(def: object) {
    return "fn" in def ? (value) => (def as z.core.$ZodCustomDef).fn(value) === true : null;
  },
};

function compileType(schema: z.core.$ZodType): CompiledSchema | null {
  const { def } = schema._zod;
  return "coerce" in def ? null : (typeCompilers[def.type]?.(def as never, schema) ?? null);
}

type TypeCompiler = (def: never, schema: z.core.$ZodType) => CompiledSchema | null;

const typeCompilers: Readonly<Partial<Record<string, TypeCompiler>>> = {
  string: (def: object) => ("format" in def ? null : (value) => (typeof value === "string" ? value : undecided)),
  number: compileNumber,
  boolean: () => (value) => (typeof value === "boolean" ? value : undecided),
  unknown: () => (value) => value,
  enum: compileChoice,
  literal: compileChoice,
  array: compileArray,
  object: compileObject,
  record: compileRecord,
  union: (def: z.core.$ZodUnionDef | z.core.$ZodDiscriminatedUnionDef) =>
    "discriminator" in def ? compileDiscriminated(def) : compileUnion(def),
  nullable: compileWrapper,
  optional: compileWrapper,
  default: compileWrapper,
  prefault: compileWrapper,
};

function compileNumber(def: z.core.$ZodNumberDef | z.core.$ZodNumberFormatDef): CompiledSchema | null {
  if (!("format" in def)) return (value) => (Number.isFinite(value) ? value : undecided);
  return def.format === "safeint" ? (value) => (Number.isSafeInteger(value) ? value : undecided) : null;
}

function compileChoice(_def: object, { _zod: { values } }: z.core.$ZodType): CompiledSchema | null {
  return values ? (value) => ((values as ReadonlySet<unknown>).has(value) ? value : undecided) : null;
}

type WrapperDef = z.core.$ZodNullableDef | z.core.$ZodOptionalDef | z.core.$ZodDefaultDef | z.core.$ZodPrefaultDef;

function compileWrapper(def: WrapperDef, { _zod }: z.core.$ZodType): CompiledSchema | null {
  const inner = compileSchema(def.innerType);
  switch (def.type) {
    case "nullable":
      return (value) => (value === null ? null : inner(value));
    case "optional":
      if (_zod.traits.has("$ZodExactOptional") || def.innerType._zod.optin === "defaulted") return null;
      return (value) => (value === undefined ? undefined : inner(value));
    case "default":
      return (value) => {
        const parsed = value === undefined ? undefined : inner(value);
        return parsed === undefined ? def.defaultValue : parsed;
      };
    case "prefault":
      return (value) => inner(value === undefined ? def.defaultValue : value);
  }
}

function compileArray({ element, checks = [] }: z.core.$ZodArrayDef): CompiledSchema {
  const item = compileSchema(element);
  const limits = checks.map(({ _zod: { def } }) => ("maximum" in def ? Number(def.maximum) : Infinity));
  const maximum = Math.min(...limits);
  return (value) => {
    if (!Array.isArray(value) || value.length > maximum) return undecided;
    const parsed: unknown[] = [];
    for (const one of value) {
      const result = item(one);
      if (result === undecided) return undecided;
      parsed.push(result);
    }
    return parsed;
  };
}

interface Field {
  readonly key: string;
  readonly parse: CompiledSchema;
  readonly presence: "required" | "defaulted" | "optional";
}

function compileObject({ shape, catchall }: z.core.$ZodObjectDef): CompiledSchema | null {
  const isStrict = catchall?._zod.def.type === "never";
  const fields = Object.entries(shape).map(([key, schema]) => compileField(key, schema));
  if ((catchall && !isStrict) || !fields.every((field) => field !== null)) return null;
  const byKey: ReadonlyMap<string, Field> = new Map(fields.map((field) => [field.key, field]));
  const requiredCount = fields.filter(({ presence }) => presence === "required").length;
  const { template, makers } = toTemplate(fields);
  return (value) => {
    if (!isPlain(value)) return undecided;
    const parsed: Record<string, unknown> = Object.assign({}, template);
    const given = parseGiven(value, byKey, isStrict, parsed);
    if (given?.required !== requiredCount) return undecided;
    for (const [key, make] of makers) if (parsed[key] === undecided) parsed[key] = make();
    return given.optional === 0 ? parsed : inOrder(fields, parsed);
  };
}

/** @returns how many fields of each presence there are; null: undecided */
function parseGiven(
  value: Readonly<Record<string, unknown>>,
  fields: ReadonlyMap<string, Field>,
  isStrict: boolean,
  parsed: Record<string, unknown>,
): Record<Field["presence"], number> | null {
  const counts = { required: 0, defaulted: 0, optional: 0 };
  for (const key in value) {
    const field = fields.get(key);
    if (field) {
      const result = field.parse(value[key]);
      if (result === undecided) return null;
      parsed[key] = result;
      counts[field.presence]++;
    } else if (isStrict) return null;
  }
  return counts;
}

function compileField(key: string, schema: z.core.$ZodType): Field | null {
  const { optin: presence = "required", optout } = schema._zod;
  if (key in Object.prototype || (optout === "optional") !== (presence === "optional")) return null;
  const parse = compileSchema(schema);
  return presence === "defaulted" && parse(undefined) === undecided ? null : { key, parse, presence };
}

interface Template {
  /** All but optional fields, in order: a default, or `undecided` where there is none to share. */
  readonly template: Readonly<Record<string, unknown>>;
  readonly makers: readonly (readonly [key: string, make: () => unknown])[];
}

function toTemplate(fields: readonly Field[]): Template {
  const template: Record<string, unknown> = {};
  const makers: [string, () => unknown][] = [];
  for (const { key, parse, presence } of fields) {
    if (presence === "optional") continue;
    const value = presence === "defaulted" ? parse(undefined) : undecided;
    const isShared = typeof value !== "object" || value === null;
    template[key] = isShared ? value : undecided;
    if (!isShared) makers.push([key, toMaker(value, parse)]);
  }
  return { template, makers };
}

/** A flat default is copied, which costs less than parsing it again. */
function toMaker(value: object, parse: CompiledSchema): () => unknown {
  const isFlat = Object.values(value).every((part) => typeof part !== "object");
  if (!isFlat) return () => parse(undefined);
  return Array.isArray(value) ? () => value.slice() : () => Object.assign({}, value);
}

/** The order of a parsed object's fields is that of the schema. */
function inOrder(fields: readonly Field[], parsed: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const ordered: Record<string, unknown> = {};
  for (const { key } of fields) if (Object.hasOwn(parsed, key)) ordered[key] = parsed[key];
  return ordered;
}

function compileRecord({ keyType, valueType }: z.core.$ZodRecordDef): CompiledSchema | null {
  const name = keyType._zod.def.type === "string" ? compile(keyType) : null;
  const item = compileSchema(valueType);
  return (
    name &&
    ((value) => {
      if (!isPlain(value)) return undecided;
      const parsed: Record<string, unknown> = {};
      for (const key of Reflect.ownKeys(value)) {
        if (key === "__proto__" || name(key) === undecided) return undecided;
        const result = item(value[key as string]);
        if (result === undecided) return undecided;
        parsed[key as string] = result;
      }
      return parsed;
    })
  );
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** Kinds that change no value, so that it does not matter which option of a union accepts one. */
const unchanging = new Set(["string", "number", "boolean", "enum", "literal"]);

function compileUnion({ options, inclusive }: z.core.$ZodUnionDef): CompiledSchema | null {
  const compiled = options.map((option) => (unchanging.has(option._zod.def.type) ? compile(option) : null));
  if (inclusive === false || !compiled.every((option) => option !== null)) return null;
  return (value) => (compiled.some((option) => option(value) !== undecided) ? value : undecided);
}

function compileDiscriminated({ options, discriminator }: z.core.$ZodDiscriminatedUnionDef): CompiledSchema {
  const byValue = new Map<unknown, CompiledSchema>();
  for (const option of options) {
    const compiled = compileSchema(option);
    for (const value of option._zod.propValues?.[discriminator] ?? []) byValue.set(value, compiled);
  }
  byValue.delete(undefined);
  return (value) => (isPlain(value) ? (byValue.get(value[discriminator])?.(value) ?? undecided) : undecided);
}
