import * as z from "zod";
import type { Failure } from "../../contract/errors.ts";
import { operations, type InputOf, type OperationName, type OutputOf } from "../../contract/operations.ts";
import { WireError } from "../../contract/protocol.ts";
import { err, ok, type Result } from "../../shared/result.ts";

export type RequestOutcome<Output> =
  | { readonly kind: "answered"; readonly result: Result<Output> }
  | { readonly kind: "lost"; readonly isSent: boolean; readonly message: string }
  /** Not an answer; a repeat would get the same. */
  | { readonly kind: "garbled"; readonly message: string };

export type SendRequest = <Name extends OperationName>(
  name: Name,
  input: InputOf<Name>,
  timeoutMs: number,
) => Promise<RequestOutcome<OutputOf<Name>>>;

export function answeredOutcome<Name extends OperationName>(
  name: Name,
  answer: unknown,
): RequestOutcome<OutputOf<Name>> {
  const parsed = operations[name].output.safeParse(answer);
  if (!parsed.success)
    return garbledOutcome(`the answer to ${name} does not match the contract: ${formatIssues(parsed.error)}`);
  // The schema is the one of this name; TypeScript cannot follow that.
  return { kind: "answered", result: ok(parsed.data as OutputOf<Name>) };
}

export function garbledOutcome(message: string): RequestOutcome<never> {
  return { kind: "garbled", message };
}

export function lostOutcome(isSent: boolean, message: string): RequestOutcome<never> {
  return { kind: "lost", isSent, message };
}

export function refusedOutcome(name: string, error: unknown, retryAfterMs?: number): RequestOutcome<never> {
  const parsed = WireError.safeParse(error);
  if (!parsed.success)
    return garbledOutcome(`${name} was refused in a way that this version does not know: ${formatCode(error)}`);
  const { code, message, details } = parsed.data;
  const retryInMs = parsed.data.retryAfterMs ?? retryAfterMs;
  const refusal: Failure = {
    code,
    message,
    ...(retryInMs === undefined ? {} : { retryAfterMs: retryInMs }),
    ...(details === undefined ? {} : { details }),
  };
  return { kind: "answered", result: err(refusal) };
}

export function byteLength(input: object): number {
  return Buffer.byteLength(JSON.stringify(input));
}

function formatIssues({ issues }: z.ZodError): string {
  return issues.map(({ path, code }) => `${path.join(".") || "all of it"} (${code})`).join(", ");
}

function formatCode(error: unknown): string {
  const parsed = z.object({ code: z.string().max(60) }).safeParse(error);
  return parsed.success ? JSON.stringify(parsed.data.code) : "without a code";
}
