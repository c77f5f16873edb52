import * as z from "zod";
import type { Failure } from "../contract/errors.ts";
import {
  isOperation,
  operations,
  type CallName,
  type CheckedInputOf,
  type OperationName,
} from "../contract/operations.ts";
import { exampleSelf } from "../contract/values.ts";
import { scopes, type Scope } from "../contract/operation.ts";
import { formatIssues } from "./bad-input.ts";
import { err, fail, ok, type Result } from "./result.ts";

/** Not certainly valid: zod decides, and words a refusal. */
export const undecided = Symbol("undecided");

/** @returns the parsed value, equal to that of zod, or `undecided` */
type CompiledSchema = (value: unknown) => unknown;

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

/** Limit of nesting: recursion over JSON must not overflow the stack. */
const maxDepth = 100;

/** Refuses JSON that later code would fail on or silently lose. */
export function checkJsonShape(value: unknown, depthLeft = maxDepth): Failure | null {
  if (typeof value !== "object" || value === null) return null;
  if (depthLeft === 0) return { code: "bad_input", message: `JSON is nested at most ${maxDepth} deep` };
  if (Object.hasOwn(value, "__proto__")) return { code: "bad_input", message: "no field may have the name __proto__" };
  return Array.isArray(value) ? checkItems(value, depthLeft - 1) : checkValues(value, depthLeft - 1);
}

function checkItems(items: readonly unknown[], depthLeft: number): Failure | null {
  for (const item of items) {
    const problem = checkJsonShape(item, depthLeft);
    if (problem) return problem;
  }
  return null;
}

/** `Object.values` would cost twice as much. */
function checkValues(fields: object, depthLeft: number): Failure | null {
  for (const name in fields) {
    const problem = checkJsonShape((fields as Record<string, unknown>)[name], depthLeft);
    if (problem) return problem;
  }
  return null;
}

export interface OperationRequest<Name extends OperationName = OperationName> {
  readonly name: Name;
  readonly input: CheckedInputOf<Name>;
}

/** Checks the JSON shape before any recursion over it, then the fields. */
export function checkInput(name: string, input: unknown): Result<OperationRequest> {
  const problem = checkJsonShape(input);
  return problem ? err(problem) : checkFields(name, input);
}

/** Refuses unknown operations, unknown fields and values out of bounds, without effects. */
export function checkFields(name: string, input: unknown): Result<OperationRequest> {
  const known = compiledInputOf(name);
  if (known === null) return fail("unknown_operation", `there is no operation ${JSON.stringify(name.slice(0, 60))}`);
  const checked = known.parse(input);
  // The compiled schema gives what zod gives; TypeScript cannot follow that.
  if (checked !== undecided) return ok({ name: known.name, input: checked as CheckedInputOf<OperationName> });
  const parsed = operations[known.name].input.safeParse(input);
  if (!parsed.success) return fail("bad_input", `${name}: ${formatIssues(parsed.error)}`);
  return ok({ name: known.name, input: parsed.data });
}

/** Refuses input that no coordinator takes; `self` and request id may be added later. */
export function findBadInput(name: CallName, input: object): Failure | null {
  const { shape } = operations[name].input;
  const later = { self: exampleSelf, requestId: "r1" };
  const added = Object.fromEntries(Object.entries(later).filter(([field]) => field in shape));
  const checked = checkInput(name, { ...added, ...input });
  return checked.ok ? null : checked.error;
}

interface CompiledInput {
  readonly name: OperationName;
  readonly parse: CompiledSchema;
}

const compiledInputs = new Map<string, CompiledInput>();

/** Compiled at the first use: an object uses few operations, and is started often. */
function compiledInputOf(name: string): CompiledInput | null {
  const known = compiledInputs.get(name);
  if (known) return known;
  if (!isOperation(name)) return null;
  const compiled = { name, parse: compileSchema(operations[name].input) };
  compiledInputs.set(name, compiled);
  return compiled;
}

/** Each scope contains those before it. */
export function checkScope(name: OperationName, scope: Scope): Failure | null {
  const needed = operations[name].scope;
  if (scopes.indexOf(scope) >= scopes.indexOf(needed)) return null;
  return { code: "forbidden", message: `${name} needs a token of scope ${needed}; this one has ${scope}` };
}

export function isRead(name: OperationName): boolean {
  return operations[name].method === "GET";
}
