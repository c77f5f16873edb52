import * as z from "zod";
import { WireError, type Refusal } from "../../contract/errors.ts";
import { operations, type InputOf, type OperationName, type OutputOf } from "../../contract/operations.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Instant } from "./trust.ts";

/** What became of one request that was sent once. */
export type Outcome<Output> =
  | { readonly kind: "answered"; readonly result: Result<Output, Refusal>; readonly sentAt: Instant }
  /** No answer; `isSent`: it may have been carried out. */
  | { readonly kind: "lost"; readonly isSent: boolean; readonly message: string }
  /** Something that is no answer: the same request would meet it again. */
  | { readonly kind: "garbled"; readonly message: string };

/** Sends one request once. */
export type Ask = <Name extends OperationName>(
  name: Name,
  input: InputOf<Name>,
  timeoutMs: number,
) => Promise<Outcome<OutputOf<Name>>>;

export function answered<Name extends OperationName>(
  name: Name,
  sentAt: Instant,
  answer: unknown,
): Outcome<OutputOf<Name>> {
  const parsed = operations[name].output.safeParse(answer);
  if (!parsed.success) return garbled(`the answer to ${name} is not what the contract says: ${whereOf(parsed.error)}`);
  // The schema is the one of this name; that its output has the type of this name TypeScript cannot follow.
  return { kind: "answered", result: ok(parsed.data as OutputOf<Name>), sentAt };
}

/** @param retryAfterMs where the error itself says nothing */
export function refused(name: string, sentAt: Instant, error: unknown, retryAfterMs?: number): Outcome<never> {
  const parsed = WireError.safeParse(error);
  if (!parsed.success) return garbled(`${name} was refused in a way that this version does not know: ${codeOf(error)}`);
  const { code, message, details } = parsed.data;
  const after = parsed.data.retryAfterMs ?? retryAfterMs;
  const refusal: Refusal = {
    code,
    message,
    ...(after === undefined ? {} : { retryAfterMs: after }),
    ...(details === undefined ? {} : { details }),
  };
  return { kind: "answered", result: err(refusal), sentAt };
}

export function lost(isSent: boolean, message: string): Outcome<never> {
  return { kind: "lost", isSent, message };
}

export function garbled(message: string): Outcome<never> {
  return { kind: "garbled", message };
}

function whereOf({ issues }: z.ZodError): string {
  return issues.map(({ path, code }) => `${path.join(".") || "all of it"} (${code})`).join(", ");
}

function codeOf(error: unknown): string {
  const parsed = z.object({ code: z.string().max(60) }).safeParse(error);
  return parsed.success ? JSON.stringify(parsed.data.code) : "without a code";
}
