import type { CallError } from "../contract/errors.ts";
import type { InputOf, OutputOf } from "../contract/operations.ts";
import type { Change } from "../contract/state.ts";
import type { Self } from "../contract/values.ts";
import type { Result } from "../shared/result.ts";
import type { CallInput } from "./edge/calls.ts";
import type { CallName } from "./edge/client.ts";

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
