import { errorTable, type Refusal } from "../contract/errors.ts";
import { toWire } from "../contract/protocol.ts";

export function errorResponse(refusal: Refusal): Response {
  const headers: Record<string, string> = refusal.retryAfterMs
    ? { "retry-after": String(Math.ceil(refusal.retryAfterMs / 1_000)) }
    : {};
  return Response.json({ error: toWire(refusal) }, { status: errorTable[refusal.code].status, headers });
}

export const unauthenticated: Refusal = {
  code: "unauthenticated",
  message: "a valid token is needed: Authorization: Bearer <token>",
};

/** An overloaded object must not be retried at once (Durable Objects error handling). */
export function toRefusal(error: unknown): Refusal {
  const isOverloaded =
    typeof error === "object" && error !== null && "overloaded" in error && error.overloaded === true;
  return isOverloaded
    ? { code: "overloaded", message: "the workspace is overloaded", retryAfterMs: 5_000 }
    : { code: "internal", message: "the coordinator failed", retryAfterMs: 1_000 };
}
