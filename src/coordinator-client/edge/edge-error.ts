import type { Refusal } from "../../contract/errors.ts";

/** Failures on this side of the wire; they never cross it. */
export interface ClientError {
  readonly code:
    /** No coordinator was reached in time: nothing has happened. */
    | "unreachable"
    /** It was sent, and no answer came: it may have happened. The same request id asks again. */
    | "outcome_unknown"
    /** Too much waits for the connection already: nothing has happened. */
    | "queue_full"
    /** The client is closed: nothing has happened. */
    | "closed"
    /** It needs a registered chat, and this client has registered none: nothing has happened. */
    | "not_registered"
    /** The answer is not what the contract says; it may have happened. */
    | "bad_answer";
  readonly message: string;
  /** Of the request, where it has one. */
  readonly requestId?: string;
}

/** Why a call has no value: refused by the coordinator, or not answered by it. */
export type EdgeError = Refusal | ClientError;

/** Each time the same answer would come: the client gives up. */
const permanentCodes: ReadonlySet<string> = new Set(["unauthenticated", "unknown_workspace", "unsupported_protocol"]);

export function isPermanent(error: Refusal): boolean {
  return permanentCodes.has(error.code);
}

/** The coordinator could not do it now, and has changed nothing. */
export function isBusy({ code }: Refusal): boolean {
  return code === "overloaded" || code === "internal";
}

/** It does not do what this token asks for now; nothing was changed. */
export function isThrottled({
  code,
  details,
}: {
  readonly code: string;
  readonly details?: NonNullable<Refusal["details"]>;
}): boolean {
  return code === "rate_limited" || (code === "throttled" && details?.["limit"] === "maxOperationsPerSecond");
}

/** A coordinator that answers so would refuse other calls, too, for a while. */
export function isUnavailable(error: Refusal): boolean {
  return isBusy(error) || isThrottled(error);
}
