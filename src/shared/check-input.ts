import type { Refusal } from "../contract/errors.ts";
import { isOperation, operations, type CheckedInputOf, type OperationName } from "../contract/operations.ts";
import { scopes, type Scope } from "../contract/workspaces.ts";
import { err, ok, type Result } from "./result.ts";
import { checkJsonShape } from "./json-shape.ts";
import { formatIssues } from "./problems.ts";

/** What every host does with a request before the engine sees it. Pure. */

export interface OperationRequest<Name extends OperationName = OperationName> {
  readonly name: Name;
  readonly input: CheckedInputOf<Name>;
}

/** [WI8] What stands in it, before anything walks through it, and [WI1] what it asks for. */
export function checkInput(name: string, input: unknown): Result<OperationRequest, Refusal> {
  const problem = checkJsonShape(input);
  return problem ? err(problem) : checkFields(name, input);
}

/** [WI1] Unknown operations, unknown fields and values out of bounds are refused, with what is wrong; nothing has happened then. */
export function checkFields(name: string, input: unknown): Result<OperationRequest, Refusal> {
  if (!isOperation(name))
    return err({ code: "unknown_operation", message: `there is no operation ${formatName(name)}` });
  const parsed = operations[name].input.safeParse(input);
  if (!parsed.success) return err({ code: "bad_input", message: `${name}: ${formatIssues(parsed.error)}` });
  return ok({ name, input: parsed.data });
}

function formatName(name: string): string {
  return JSON.stringify(name.slice(0, 60));
}

/** [WI2] Each scope contains those before it. */
export function checkScope(name: OperationName, scope: Scope): Refusal | null {
  const needed = operations[name].scope;
  if (scopes.indexOf(scope) >= scopes.indexOf(needed)) return null;
  return { code: "forbidden", message: `${name} needs a token of scope ${needed}; this one has ${scope}` };
}

/** Operations that change nothing: no alarm has to be looked at after them. */
export function isRead(name: OperationName): boolean {
  return operations[name].method === "GET";
}
