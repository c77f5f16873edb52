import type { Refusal } from "../contract/errors.ts";
import type { InputOf, OutputOf } from "../contract/operations.ts";
import type { Change } from "../contract/state.ts";
import type { Self } from "../contract/values.ts";
import type { Result } from "../shared/result.ts";
import type { CallInput } from "./edge/calls.ts";
import type { CallName } from "./edge/client.ts";
import { isThrottled } from "./edge/edge-error.ts";

/** Code of the contract, of the client or of the store. */
export interface CallError {
  readonly code: string;
  readonly message: string;
  readonly details?: NonNullable<Refusal["details"]>;
}

/** task: a new task, or the end of one that the chat has; any: check everything. */
export type HintKind = "task" | "message" | "any";

export type ChatInput = InputOf<"chats.register">;

/** Adds the sender and the request id to each call. */
export interface ChatLink {
  readonly pollEveryMs: number;
  /** Null before the first registration, and when the chat is lost. */
  readonly self: Self | null;
  /** Registers the chat, and again whenever the coordinator counts it as gone. */
  register(chat: ChatInput): Promise<Result<OutputOf<"chats.register">, CallError>>;
  call<Name extends CallName>(
    name: Name,
    input: CallInput<Name>,
    deadlineMs: number,
  ): Promise<Result<OutputOf<Name>, CallError>>;
  onHint(listener: (news: HintKind) => void): () => void;
  /** Another process owns the chat, or the coordinator refuses for good. @returns unsubscribes */
  onLost(listener: (reason: string) => void): () => void;
  /** Changes below a prefix, in order; null: read everything again (first, and after a gap). */
  watch(prefix: string, listener: (changes: readonly Change[] | null) => void): () => void;
  leave(timeoutMs: number): Promise<void>;
}

const transientCodes: ReadonlySet<string> = new Set([
  "unreachable",
  "outcome_unknown",
  "queue_full",
  "not_registered",
  "overloaded",
  "internal",
  "store_locked",
  "store_full",
  "store_unavailable",
]);

export function isTransient(error: CallError): boolean {
  return transientCodes.has(error.code) || isThrottled(error);
}
