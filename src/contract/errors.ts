import * as z from "zod";

/** Every refusal. Codes are never reused. `retryable`: may succeed later without a change. */
export const errorTable = {
  bad_input: { status: 400, retryable: false },
  unsupported_protocol: { status: 400, retryable: false },
  unauthenticated: { status: 401, retryable: false },
  forbidden: { status: 403, retryable: false },
  unknown_operation: { status: 404, retryable: false },
  unknown_workspace: { status: 404, retryable: false },
  unknown_chat: { status: 404, retryable: false },
  unknown_key: { status: 404, retryable: false },
  unknown_task: { status: 404, retryable: false },
  unknown_token: { status: 404, retryable: false },
  unknown_device: { status: 404, retryable: false },
  workspace_exists: { status: 409, retryable: false },
  session_in_use: { status: 409, retryable: true },
  chat_replaced: { status: 409, retryable: false },
  chat_offline: { status: 409, retryable: false },
  chat_draining: { status: 409, retryable: false },
  owner_alive: { status: 409, retryable: false },
  lease_held: { status: 409, retryable: true },
  not_holder: { status: 409, retryable: false },
  stale_token: { status: 409, retryable: false },
  stale_claim: { status: 409, retryable: false },
  duplicate_task: { status: 409, retryable: false },
  version_mismatch: { status: 409, retryable: false },
  key_reused: { status: 409, retryable: false },
  /** Number of an op is not the one after the newest: ops between are missing. */
  gap: { status: 409, retryable: false },
  /** Another op has this number: the device continues from a copy or an older state. */
  device_forked: { status: 409, retryable: false },
  wrong_key: { status: 409, retryable: false },
  compacted: { status: 410, retryable: false },
  budget_exceeded: { status: 402, retryable: false },
  too_large: { status: 413, retryable: false },
  schema_mismatch: { status: 422, retryable: false },
  too_many_chats: { status: 429, retryable: true },
  throttled: { status: 429, retryable: true },
  rate_limited: { status: 429, retryable: true },
  internal: { status: 500, retryable: true },
  overloaded: { status: 503, retryable: true },
  quota_exceeded: { status: 507, retryable: false },
} as const satisfies Record<string, { readonly status: number; readonly retryable: boolean }>;

export type ErrorCode = keyof typeof errorTable;

export interface Refusal<Code extends ErrorCode = ErrorCode> {
  readonly code: Code;
  readonly message: string;
  readonly retryAfterMs?: number;
  /** Facts that a program needs beyond the code, such as the present version of a key. */
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
}

export const WireError = z.object({
  code: z.enum(Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]]),
  message: z.string(),
  retryable: z.boolean(),
  retryAfterMs: z.number().optional(),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
});
export type WireError = z.infer<typeof WireError>;

export function toWire(refusal: Refusal): WireError {
  return { ...refusal, retryable: errorTable[refusal.code].retryable };
}
