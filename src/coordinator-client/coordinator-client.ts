import type { CallError } from "../contract/errors.ts";
import type { Message } from "../contract/messages.ts";
import type { Change } from "../contract/state.ts";
import type { CallInput, CallName, OutputOf } from "../contract/operations.ts";
import type { Self } from "../contract/values.ts";
import type { Result } from "../shared/result.ts";
import type { HeldLease } from "./edge/leases.ts";
import type { HoldOptions, LeadershipRequest, LeaseRequest } from "./edge/leases.ts";
import type { ChatInput } from "./edge/connection.ts";
import type { WatchEvent, WatchOptions } from "./edge/state-watch.ts";

/** Changes in order; null: read everything again; empty: rows changed that are not state. */
export type OnChanges = (changes: readonly Change[] | null) => void;

/** task: a task that may be free, or the end of one that the chat has; any: check everything. */
export type HintKind = "task" | "message" | "any";

export type Call = <Name extends CallName>(
  name: Name,
  input: CallInput<Name>,
  deadlineMs?: number,
) => Promise<Result<OutputOf<Name>, CallError>>;

/** How often to ask for what a lost hint was about. */
export const pollEveryMs = 15_000;

/** A workspace's coordinator, in this process or over the network; never throws for either. */
export interface CoordinatorClient {
  /** Null before the first registration, and when the chat is lost. */
  readonly self: Self | null;
  /** Registers the chat, and again whenever the coordinator counts it as gone. */
  register(chat: ChatInput): Promise<Result<OutputOf<"chats.register">, CallError>>;
  /** Only `outcome_unknown` and `bad_answer` leave open what has happened. */
  readonly call: Call;
  /**
   * [EC22] A claim, a heartbeat or a pull reads what it is about, unless its message came with it.
   * @returns unsubscribes
   */
  onHint(listener: (hint: HintKind, message?: Message) => void): () => void;
  /** [SY102] Another machine stored sessions, or one may be taken over. @returns unsubscribes */
  onSyncHint(listener: (isDeath: boolean) => void): () => void;
  /** Another process owns the chat, or the coordinator refuses for good. @returns unsubscribes */
  onLost(listener: (reason: string) => void): () => void;
  /** Survives interruptions; a failure is its last event. @returns ends it */
  watch(options: WatchOptions, onEvent: (event: WatchEvent) => void): () => void;
  /**
   * Changes below a prefix, in order; null: read everything again (first, and after a gap); empty:
   * rows changed which are not state, such as tasks below `$task/`.
   */
  onChanges(prefix: string, onChanges: OnChanges): () => void;
  hold(request: LeaseRequest, options?: HoldOptions): Promise<Result<HeldLease, CallError>>;
  lead(request: LeadershipRequest, options?: HoldOptions): Promise<Result<HeldLease, CallError>>;
  /** Frees everything the chat holds; it is not registered again, even if the request fails. */
  leave(timeoutMs: number): Promise<void>;
  close(): void;
}
