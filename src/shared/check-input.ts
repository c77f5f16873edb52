import type { Refusal } from "../contract/errors.ts";
import {
  isOperation,
  operations,
  type CallName,
  type CheckedInputOf,
  type OperationName,
} from "../contract/operations.ts";
import { exampleSelf } from "../contract/values.ts";
import { scopes, type Scope } from "../contract/workspaces.ts";
import { err, ok, type Result } from "./result.ts";
import { compileSchema, undecided, type CompiledSchema } from "./compiled-schema.ts";
import { checkJsonShape } from "./json-shape.ts";
import { formatIssues } from "./problems.ts";

export interface OperationRequest<Name extends OperationName = OperationName> {
  readonly name: Name;
  readonly input: CheckedInputOf<Name>;
}

/** Checks the JSON shape before any recursion over it, then the fields. */
export function checkInput(name: string, input: unknown): Result<OperationRequest, Refusal> {
  const problem = checkJsonShape(input);
  return problem ? err(problem) : checkFields(name, input);
}

/** Refuses unknown operations, unknown fields and values out of bounds, without effects. */
export function checkFields(name: string, input: unknown): Result<OperationRequest, Refusal> {
  if (!isOperation(name))
    return err({ code: "unknown_operation", message: `there is no operation ${formatName(name)}` });
  const checked = compiledInputOf(name)(input);
  // The compiled schema gives what zod gives; TypeScript cannot follow that.
  if (checked !== undecided) return ok({ name, input: checked as CheckedInputOf<typeof name> });
  const parsed = operations[name].input.safeParse(input);
  if (!parsed.success) return err({ code: "bad_input", message: `${name}: ${formatIssues(parsed.error)}` });
  return ok({ name, input: parsed.data });
}

/** Refuses input that no coordinator takes; `self` and request id may be added later. */
export function findBadInput(name: CallName, input: object): Refusal | null {
  const { shape } = operations[name].input;
  const later = { self: exampleSelf, requestId: "r1" };
  const added = Object.fromEntries(Object.entries(later).filter(([field]) => field in shape));
  const checked = checkInput(name, { ...added, ...input });
  return checked.ok ? null : checked.error;
}

const compiledInputs = new Map<OperationName, CompiledSchema>();

/** Compiled at the first use: an object uses few operations, and is started often. */
function compiledInputOf(name: OperationName): CompiledSchema {
  const known = compiledInputs.get(name);
  if (known) return known;
  const compiled = compileSchema(operations[name].input);
  compiledInputs.set(name, compiled);
  return compiled;
}

function formatName(name: string): string {
  return JSON.stringify(name.slice(0, 60));
}

/** Each scope contains those before it. */
export function checkScope(name: OperationName, scope: Scope): Refusal | null {
  const needed = operations[name].scope;
  if (scopes.indexOf(scope) >= scopes.indexOf(needed)) return null;
  return { code: "forbidden", message: `${name} needs a token of scope ${needed}; this one has ${scope}` };
}

export function isRead(name: OperationName): boolean {
  return operations[name].method === "GET";
}
