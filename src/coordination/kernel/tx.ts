import type { Settings } from "../../contract/workspaces.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import type { chats } from "./kernel-tables.ts";

/** Law: no clock, no random numbers, no sockets here; a host passes them in. */

export interface Presence {
  /** Last activity on the chat's connection, epoch ms; null: no connection. */
  lastSeen(chat: Pick<RowOf<typeof chats>, "chat" | "status" | "process">): number | null;
}

/** Wake-up after a commit. Only a hint: a client that misses it polls. */
export type Hint =
  | { readonly kind: "lease"; readonly chat: string; readonly resource: string }
  | { readonly kind: "message"; readonly chat: string | null; readonly topic: string | null }
  | { readonly kind: "task"; readonly chat: string }
  | { readonly kind: "changes" }
  /** The machine has stored sessions, which others mirror; isDeath: one may be taken over. */
  | { readonly kind: "sync"; readonly machine: string; readonly isDeath: boolean }
  /** A task is queued for an available chat: the host sends a token. */
  | { readonly kind: "dispatch" }
  /** Boxes have ended, whose objects the host clears. */
  | { readonly kind: "boxes" }
  | { readonly kind: "offline"; readonly chat: string };

export interface WorkspaceFacts {
  readonly settings: Settings;
  /** Part of every fencing token, so that a counter that was set back repeats none. */
  readonly epoch: number;
  /** Epoch ms before which no lease is granted: holders from a lost history may exist; 0: none. */
  readonly quietUntil: number;
  readonly firstEpoch: number;
  /** Epoch ms before which nothing is changed; 0: never frozen. */
  readonly frozenUntil: number;
}

export interface Tx extends WorkspaceFacts {
  readonly sql: Sql;
  /** Epoch ms by the host's clock. */
  readonly now: number;
  readonly presence: Presence;
  readonly actor?: Actor;
  /** Storage is nearly full: what may be deleted is deleted at once. */
  readonly isFull?: boolean;
  /** The host dispatches before its commit; also without new tasks, since a chat may have room. */
  readonly requestDispatch: () => void;
  readonly tell: (hint: Hint) => void;
}

/** Fencing tokens and revisions per epoch; 2^25 epochs fit below 2^53. */
export const numbersPerEpoch = 2 ** 28;

export interface Actor {
  readonly machine: string;
  readonly isAdmin: boolean;
}

/** At least one. */
export type List<T> = readonly [T, ...T[]];
