/** Result of repeating the same call. */
export type Retry =
  /** The same answer. */
  | "never"
  /** Succeeds once others have released what it needs; the caller decides when to ask again. */
  | "when_free"
  /** The coordinator or the way to it is unavailable for now: repeat it under its request id. */
  | "later"
  /** Repeat it once the chat is registered again. */
  | "after_registering"
  /** This client is closed for good; another one may repeat it. */
  | "with_another_client"
  /** Succeeds once a person has changed something. */
  | "after_user";

interface Reaction {
  readonly retry: Retry;
  /** The caller's loss. */
  readonly ends?: "connection" | "chat" | "lease" | "claim";
  /** The input itself is refused, by whichever coordinator. */
  readonly isBadInput?: true;
}

interface Entry extends Reaction {
  /** HTTP status of the answer of a coordinator, or of the live page. */
  readonly status: number;
}

/** Every refusal of a coordinator. Codes are never reused. */
export const errorTable = {
  bad_input: { status: 400, retry: "never", isBadInput: true },
  unsupported_protocol: { status: 400, retry: "never", ends: "connection" },
  unauthenticated: { status: 401, retry: "never", ends: "connection" },
  forbidden: { status: 403, retry: "never" },
  unknown_operation: { status: 404, retry: "never" },
  unknown_workspace: { status: 404, retry: "never", ends: "connection" },
  unknown_chat: { status: 404, retry: "never", ends: "chat" },
  unknown_key: { status: 404, retry: "never" },
  unknown_task: { status: 404, retry: "never", ends: "claim" },
  unknown_schedule: { status: 404, retry: "never" },
  unknown_token: { status: 404, retry: "never" },
  unknown_handover: { status: 404, retry: "never" },
  handover_taken: { status: 409, retry: "never" },
  handover_incomplete: { status: 409, retry: "never" },
  unknown_phone: { status: 404, retry: "never" },
  phone_claimed: { status: 409, retry: "never" },
  restore_unavailable: { status: 501, retry: "never" },
  not_frozen: { status: 409, retry: "never" },
  workspace_in_use: { status: 409, retry: "never" },
  workspace_exists: { status: 409, retry: "never" },
  schedule_exists: { status: 409, retry: "never" },
  session_in_use: { status: 409, retry: "when_free" },
  chat_replaced: { status: 409, retry: "never", ends: "chat" },
  chat_offline: { status: 409, retry: "after_registering" },
  chat_draining: { status: 409, retry: "never" },
  owner_alive: { status: 409, retry: "never" },
  lease_held: { status: 409, retry: "when_free" },
  not_holder: { status: 409, retry: "never", ends: "lease" },
  stale_token: { status: 409, retry: "never" },
  stale_claim: { status: 409, retry: "never", ends: "claim" },
  duplicate_task: { status: 409, retry: "never" },
  version_mismatch: { status: 409, retry: "never" },
  key_reused: { status: 409, retry: "never" },
  wrong_key: { status: 409, retry: "after_user" },
  compacted: { status: 410, retry: "never" },
  budget_exceeded: { status: 402, retry: "never" },
  too_large: { status: 413, retry: "never", isBadInput: true },
  too_many_chats: { status: 429, retry: "when_free" },
  throttled: { status: 429, retry: "when_free" },
  rate_limited: { status: 429, retry: "later" },
  internal: { status: 500, retry: "later" },
  overloaded: { status: 503, retry: "later" },
  frozen: { status: 503, retry: "later" },
  quota_exceeded: { status: 507, retry: "never" },
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof errorTable;

/** Codes that a machine gives where no coordinator refused. */
const machineErrorTable = {
  /** No coordinator was reached in time: nothing has happened. */
  unreachable: { status: 503, retry: "later" },
  /** Sent without an answer: it may have happened. Repeat it with the same request id. */
  outcome_unknown: { status: 504, retry: "later" },
  queue_full: { status: 503, retry: "later" },
  /** No chat is registered: nothing has happened. */
  not_registered: { status: 503, retry: "later" },
  closed: { status: 503, retry: "with_another_client" },
  /** The answer violates the contract; the request may have happened. */
  bad_answer: { status: 502, retry: "never" },
  /** The caller has stopped waiting for the answer. */
  gave_up: { status: 504, retry: "never" },
  chat_lost: { status: 409, retry: "never" },
  /** Another chat continues the session. */
  held: { status: 409, retry: "never" },
  not_to_take: { status: 409, retry: "never" },
  not_found: { status: 404, retry: "never" },
  /** Content sealed by another machine cannot be opened here. */
  refused: { status: 409, retry: "never" },
  /** The coordinator continues from an older state. */
  put_back: { status: 409, retry: "never" },
  unknown_session: { status: 404, retry: "never" },
  edge_unusable: { status: 503, retry: "after_user" },
  no_edge: { status: 409, retry: "after_user" },
  no_sync: { status: 409, retry: "after_user" },
  no_key: { status: 409, retry: "after_user" },
  /** No host runs on the machine, and none could be started; or it does not answer. */
  host_unusable: { status: 503, retry: "later" },
  /** The host of the machine works for another workspace than the caller. */
  other_workspace: { status: 409, retry: "after_user" },
  lost_place: { status: 409, retry: "never" },
  store_locked: { status: 503, retry: "later" },
  store_full: { status: 507, retry: "later" },
  store_unavailable: { status: 503, retry: "later" },
  store_corrupt: { status: 500, retry: "never" },
  store_readonly: { status: 500, retry: "never" },
  store_newer: { status: 500, retry: "never" },
  store_upkeep: { status: 503, retry: "never" },
} as const satisfies Record<string, Entry>;

/** Codes that only operations of a machine give, with their statuses. */
const operationErrorTable = {
  interrupted: 503,
  edge_unreachable: 503,
  bad_address: 409,
  ambiguous: 409,
  config_invalid: 409,
  checkpoint_damaged: 500,
  file_exists: 409,
  files_left: 409,
  less_safe: 409,
  busy: 409,
  switched_off: 409,
  cannot_end: 409,
  ended: 409,
  budget_spent: 402,
  import_refused: 422,
  not_a_file: 422,
  not_built: 409,
  no_git: 409,
  no_page: 409,
  port_unusable: 409,
  offline: 503,
  environment_decides: 409,
  transcript_unusable: 422,
  not_released: 409,
  not_shown: 409,
  token_needed: 409,
  key_needed: 409,
  key_unusable: 409,
  secret_needed: 409,
  no_project: 409,
  no_snapshot: 404,
  project_elsewhere: 409,
  snapshot_missing: 404,
  folder_not_empty: 409,
  branch_exists: 409,
  not_a_work_tree: 409,
  commit_missing: 404,
  bundle_unusable: 409,
  restore_failed: 500,
  not_offered: 409,
  still_running: 409,
  rescue_failed: 500,
  client_missing: 409,
  not_written: 500,
  not_given: 409,
  not_taken: 409,
} as const satisfies Record<string, number>;

/** Code of a refusal of a machine's operation. */
export type OperationErrorCode = keyof typeof operationErrorTable | CallError["code"];

export type MachineErrorCode = keyof typeof machineErrorTable;
export type StoreErrorCode = Extract<MachineErrorCode, `store_${string}`>;

export interface Refusal<Code extends ErrorCode = ErrorCode> {
  readonly code: Code;
  readonly message: string;
  readonly retryAfterMs?: number;
  /** Facts that a program needs beyond the code, such as the present version of a key. */
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
}

/** Why a call has no result: refused by a coordinator, or not answered. */
export interface CallError extends Omit<Refusal, "code"> {
  readonly code: ErrorCode | MachineErrorCode;
  readonly requestId?: string;
}

/** May succeed later without a change. */
export function isRetryable(code: ErrorCode): boolean {
  const { retry } = errorTable[code];
  return retry === "later" || retry === "when_free";
}

const reactions: Readonly<Record<CallError["code"], Entry>> = { ...errorTable, ...machineErrorTable };

export function statusOf(code: OperationErrorCode): number {
  const statuses: Readonly<Record<string, number>> = operationErrorTable;
  return statuses[code] ?? reactions[code as CallError["code"]].status;
}

export function isRefusal(error: CallError): error is Refusal {
  return Object.hasOwn(errorTable, error.code);
}

/** The limit of a token passes by itself; any other `throttled` is a limit of the caller. */
export function retryOf({ code, details }: Pick<CallError, "code" | "details">): Retry {
  const isTokenLimit = code === "throttled" && details?.["limit"] === "maxOperationsPerSecond";
  return isTokenLimit ? "later" : reactions[code].retry;
}

export function isTransient(error: CallError): boolean {
  return retryOf(error) === "later";
}

export function endOf({ code }: CallError): Reaction["ends"] {
  return reactions[code].ends;
}

/** A lost chat has lost its leases and claims, too. */
export function isLost(error: CallError, what: "lease" | "claim"): boolean {
  const end = endOf(error);
  return end === what || end === "chat";
}

/** No repeat through this client has another answer. */
export function isFinal(error: CallError): boolean {
  const retry = retryOf(error);
  return retry === "never" || retry === "with_another_client";
}

export function isBadInput({ code }: CallError): boolean {
  return reactions[code].isBadInput === true;
}
