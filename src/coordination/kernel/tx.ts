import type { Settings } from "../../contract/workspaces.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Totals } from "./changes.ts";
import type { LivenessRow } from "./chat-rows.ts";
import type { Performance } from "./performance.ts";

/** Law: nothing here reads a clock, a random number or a socket; a host passes all of it in. */

/** What a host knows of connections. */
export interface Presence {
  /** When the chat was last heard over its connection, epoch ms; null: it has none. */
  lastSeen(chat: string): number | null;
}

/** Something was committed that somebody waits for. Only a hint: who misses it finds it by asking. */
export type Hint =
  | { readonly kind: "lease"; readonly chat: string; readonly resource: string }
  /** For a chat, for those who have subscribed to a topic, or, where both are null, for all. */
  | { readonly kind: "message"; readonly chat: string | null; readonly topic: string | null }
  /** A task of this chat was cancelled; where it is null, something can be claimed. */
  | { readonly kind: "task"; readonly chat: string }
  | { readonly kind: "changes" }
  /** Something is queued that somebody could take: the host sends a token to the queue, or looks itself. */
  | { readonly kind: "dispatch" }
  /** The host closes the connections of this chat. */
  | { readonly kind: "offline"; readonly chat: string };

/**
 * What operations of one transaction have read, until one of them writes it; so that a hundred of them read it once. Only for a host that runs
 * many in one transaction, and forgets it when that is rolled back.
 */
export interface Memory {
  totals: Totals | null;
  readonly livenessRows: Map<string, LivenessRow>;
  /** By chat and type, with a break of line between; null: nothing is stored. */
  readonly performances: Map<string, Performance | null>;
}

/** One transaction of the engine. */
export interface Tx {
  readonly sql: Sql;
  /** Epoch ms by the host's clock. */
  readonly now: number;
  readonly presence: Presence;
  readonly settings: Settings;
  /** Part of every fencing token; raised after a restore. */
  readonly epoch: number;
  /** With which this file began. */
  readonly firstEpoch: number;
  /** Epoch ms: until then no lease is granted; 0: nothing is in the way. */
  readonly quietUntil: number;
  /** Who asks, while an operation runs; absent in what the host does by itself. */
  readonly actor?: Actor;
  readonly memory?: Memory | null;
  /** The storage is nearly used up: what may be deleted is deleted at once. */
  readonly isFull?: boolean;
  /** Tells after the commit. */
  readonly tell: (hint: Hint) => void;
}

/** Fencing tokens and revisions of one epoch; 2^25 epochs fit below 2^53. */
export const numbersPerEpoch = 2 ** 28;

/** Who asks: by its token on the edge, by its process in the embedded host. */
export interface Actor {
  readonly machine: string;
  readonly isAdmin: boolean;
}
