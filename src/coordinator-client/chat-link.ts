import type { Refusal } from "../contract/errors.ts";
import type { InputOf, OutputOf } from "../contract/operations.ts";
import type { Change } from "../contract/state.ts";
import type { Self } from "../contract/values.ts";
import type { Result } from "../shared/result.ts";
import type { CallInput } from "./edge/calls.ts";
import type { CallName } from "./edge/client.ts";
import { isThrottled } from "./edge/edge-error.ts";

/** Why there is no answer, or which one: a code of the contract, of the client or of the store. */
export interface CallError {
  readonly code: string;
  readonly message: string;
  readonly details?: NonNullable<Refusal["details"]>;
}

/** task: a new one, or the end of one that it has; any: a look at all of it is worth while. */
export type HintKind = "task" | "message" | "any";

export type ChatInput = InputOf<"chats.register">;

/** The coordinator of one chat: on the edge, or the file of this machine. Adds the sender and the id of the request to each call. */
export interface ChatLink {
  /** How often a chat looks without being told, in ms. */
  readonly pollEveryMs: number;
  /** Null before the first registration, and when the chat is lost. */
  readonly self: Self | null;
  /** Registers the chat, and again whenever it counts as gone. */
  register(chat: ChatInput): Promise<Result<OutputOf<"chats.register">, CallError>>;
  call<Name extends CallName>(
    name: Name,
    input: CallInput<Name>,
    deadlineMs: number,
  ): Promise<Result<OutputOf<Name>, CallError>>;
  /** Something may be there for the chat. @returns ends it */
  onHint(listener: (news: HintKind) => void): () => void;
  /** The chat is another process's, or nobody will ever answer. @returns ends it */
  onLost(listener: (reason: string) => void): () => void;
  /**
   * What changes below a prefix, in order, from now on. Null: what was told before may be out of date, so all of it is to be looked at; also the
   * first word, and after an interruption. @returns ends it
   */
  watch(prefix: string, listener: (changes: readonly Change[] | null) => void): () => void;
  /** The chat leaves; takes no longer than so many ms. */
  leave(timeoutMs: number): Promise<void>;
}

/** The same request may be answered a moment later. */
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
