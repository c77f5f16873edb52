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

interface Entry {
  /** HTTP status of the answer of a coordinator, or of the live page. */
  readonly status: number;
  readonly retry: Retry;
  /** The caller's loss. */
  readonly ends?: "connection" | "chat" | "lease" | "claim";
  /** The input itself is refused, by whichever coordinator. */
  readonly isBadInput?: true;
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
  session_in_use: { status: 409, retry: "when_free" },
  chat_replaced: { status: 409, retry: "never", ends: "chat" },
  chat_offline: { status: 409, retry: "after_registering" },
  chat_draining: { status: 409, retry: "never" },
  owner_alive: { status: 409, retry: "never" },
  lease_held: { status: 409, retry: "when_free" },
  not_holder: { status: 409, retry: "never", ends: "lease" },
  stale_token: { status: 409, retry: "never" },
  stale_claim: { status: 409, retry: "never", ends: "claim" },
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

/** Codes of a machine to which something reacts, where no coordinator refused. */
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
  not_found: { status: 404, retry: "never" },
  edge_unusable: { status: 503, retry: "after_user" },
  no_edge: { status: 409, retry: "after_user" },
  no_sync: { status: 409, retry: "after_user" },
  no_key: { status: 409, retry: "after_user" },
  /** No host runs on the machine, and none could be started; or it does not answer. */
  host_unusable: { status: 503, retry: "later" },
  /** The host of the machine works for another workspace than the caller. */
  other_workspace: { status: 409, retry: "after_user" },
  store_locked: { status: 503, retry: "later" },
  store_full: { status: 507, retry: "later" },
  store_unavailable: { status: 503, retry: "later" },
  store_corrupt: { status: 500, retry: "never" },
  store_readonly: { status: 500, retry: "never" },
  store_newer: { status: 500, retry: "never" },
  store_upkeep: { status: 503, retry: "never" },
  /** The words of a command line are wrong. */
  wrong_usage: { status: 400, retry: "never", isBadInput: true },
  edge_unreachable: { status: 503, retry: "later" },
} as const satisfies Record<string, Entry>;

type MachineErrorCode = keyof typeof machineErrorTable;
export type StoreErrorCode = Extract<MachineErrorCode, `store_${string}`>;
/** A code of a table, or one that single operations give and explain. */
export type FailureCode = ErrorCode | MachineErrorCode | (string & {});

/** Why something was not done: refused, or not answered. `message` says to people what to do. */
export interface Failure {
  readonly code: FailureCode;
  readonly message: string;
  readonly retryAfterMs?: number;
  /** Facts that a program needs beyond the code, such as the present version of a key. */
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
  /** Under which a call may be repeated. */
  readonly requestId?: string;
  /** Ids that an ambiguous one may mean. */
  readonly candidates?: readonly string[];
}

/** For codes that are in no table. */
const usual: Entry = { status: 409, retry: "never" };
const reactions: Readonly<Partial<Record<FailureCode, Entry>>> = { ...errorTable, ...machineErrorTable };

function reactionTo(code: FailureCode): Entry {
  return reactions[code] ?? usual;
}

/** May succeed later without a change. */
export function isRetryable(code: FailureCode): boolean {
  const { retry } = reactionTo(code);
  return retry === "later" || retry === "when_free";
}

export function statusOf(code: FailureCode): number {
  return reactionTo(code).status;
}

/** A coordinator has refused it. */
export function isRefusal({ code }: Pick<Failure, "code">): boolean {
  return Object.hasOwn(errorTable, code);
}

/** The limit of a token passes by itself; any other `throttled` is a limit of the caller. */
export function retryOf({ code, details }: Pick<Failure, "code" | "details">): Retry {
  const isTokenLimit = code === "throttled" && details?.["limit"] === "maxOperationsPerSecond";
  return isTokenLimit ? "later" : reactionTo(code).retry;
}

export function isTransient(error: Failure): boolean {
  return retryOf(error) === "later";
}

export function endOf({ code }: Failure): Entry["ends"] {
  return reactionTo(code).ends;
}

/** A lost chat has lost its leases and claims, too. */
export function isLost(error: Failure, what: "lease" | "claim"): boolean {
  const end = endOf(error);
  return end === what || end === "chat";
}

/** No repeat through this client has another answer. */
export function isFinal(error: Failure): boolean {
  const retry = retryOf(error);
  return retry === "never" || retry === "with_another_client";
}

export function isBadInput({ code }: Pick<Failure, "code">): boolean {
  return reactionTo(code).isBadInput === true;
}
