import type { Refusal } from "../../contract/errors.ts";

export interface ClientError {
  readonly code:
    /** No coordinator was reached in time: nothing has happened. */
    | "unreachable"
    /** Sent without an answer: it may have happened. Repeat it with the same request id. */
    | "outcome_unknown"
    | "queue_full"
    | "closed"
    /** No chat is registered: nothing has happened. */
    | "not_registered"
    /** The answer violates the contract; the request may have happened. */
    | "bad_answer";
  readonly message: string;
  readonly requestId?: string;
}

export type EdgeError = Refusal | ClientError;

const permanentCodes: ReadonlySet<string> = new Set(["unauthenticated", "unknown_workspace", "unsupported_protocol"]);

export function isPermanent(error: Refusal): boolean {
  return permanentCodes.has(error.code);
}

/** The coordinator cannot do it now, and has changed nothing. */
export function isBusy({ code }: Refusal): boolean {
  return code === "overloaded" || code === "internal";
}

export function isThrottled({
  code,
  details,
}: {
  readonly code: string;
  readonly details?: NonNullable<Refusal["details"]>;
}): boolean {
  return code === "rate_limited" || (code === "throttled" && details?.["limit"] === "maxOperationsPerSecond");
}

/** Server-wide failure: do not try another operation yet. */
export function isUnavailable(error: Refusal): boolean {
  return isBusy(error) || isThrottled(error);
}
