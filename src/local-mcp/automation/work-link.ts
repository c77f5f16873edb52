import type { InputOf, OutputOf } from "../../contract/operations.ts";
import type { Result } from "../../shared/result.ts";
import type { Given } from "../edge/calls.ts";

/** What a worker asks of whoever decides. */
export type WorkName =
  | "chats.drain"
  | "chats.heartbeat"
  | "tasks.ack"
  | "tasks.claim"
  | "tasks.heartbeat"
  | "tasks.nack"
  | "tasks.release";

/** Why there is no answer, or which one: a code of the contract, of the client or of the store. */
export interface Trouble {
  readonly code: string;
  readonly message: string;
}

export type Chat = InputOf<"chats.register">;

/** Whoever decides, as a worker needs it: on the edge, or the file of this machine. Who asks is filled in. */
export interface WorkLink {
  /** How often a worker looks without being told, in ms. */
  readonly lookEveryMs: number;
  /** Registers the chat, and again whenever it counts as gone. */
  register(chat: Chat): Promise<Result<unknown, Trouble>>;
  call<Name extends WorkName>(
    name: Name,
    given: Given<Name>,
    deadlineMs: number,
  ): Promise<Result<OutputOf<Name>, Trouble>>;
  /** Tasks may be there, or one that runs be cancelled. @returns ends it */
  onNews(heed: () => void): () => void;
  /** The chat is another process's, or nobody will ever answer. @returns ends it */
  onLost(heed: (reason: string) => void): () => void;
  /** The chat leaves; takes no longer than so many ms. */
  leave(withinMs: number): Promise<void>;
}

/** The same request may be answered a moment later. */
const passing: ReadonlySet<string> = new Set([
  "unreachable",
  "outcome_unknown",
  "queue_full",
  "not_registered",
  "overloaded",
  "internal",
  "rate_limited",
  "store_locked",
  "store_full",
  "store_unavailable",
]);

export function isPassing({ code }: Trouble): boolean {
  return passing.has(code);
}
