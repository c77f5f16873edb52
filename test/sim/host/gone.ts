import type { Presence } from "#src/coordination/kernel/tx.ts";
import type { Sim } from "../sim.ts";
import type { Look } from "./facts.ts";
import type { TapSql } from "./tap.ts";

interface Row {
  readonly incarnation: number;
  readonly status: string;
  readonly last_seen_at: number;
  readonly is_connected: number;
  readonly grace_until: number | null;
}

export type IsGone = (chat: string, incarnation: number) => boolean;

/** Whether a chat lives at this moment of a transaction, by the rules [CH4] and [CH5], written down a second time. */
export function goneIn(sim: Sim, sql: TapSql, presence: Presence, ttlMs: () => number): IsGone {
  return (chat, incarnation) => {
    const [row] = sql.peek<Row>("SELECT * FROM chats WHERE chat = ?", chat);
    if (!row || row.incarnation !== incarnation || row.status === "offline") return true;
    const heardAt = presence.lastSeen(chat);
    if (heardAt !== null) return Math.max(heardAt, row.last_seen_at) + ttlMs() <= sim.hostNow;
    if (row.grace_until !== null) return row.grace_until <= sim.hostNow;
    return row.is_connected === 0 && row.last_seen_at + ttlMs() <= sim.hostNow;
  };
}

/** How things stand at a grant. */
export function lookerAt(sim: Sim, sql: TapSql, isGone: IsGone): Look {
  return (holder, incarnation) => ({
    isHolderGone: isGone(holder, incarnation),
    living: sql
      .peek<{ seq: number; chat: string; incarnation: number }>(
        "SELECT seq, chat, incarnation FROM waiters WHERE until > ?",
        sim.hostNow,
      )
      .filter((place) => !isGone(place.chat, place.incarnation))
      .map(({ seq }) => seq),
  });
}
