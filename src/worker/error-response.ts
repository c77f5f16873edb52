import { errorTable, type Refusal } from "../contract/errors.ts";
import { toWire } from "../contract/wire-error.ts";

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
