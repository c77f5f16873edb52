import * as balance from "./balance.ts";
import * as chatRows from "./chat-rows.ts";
import { assign } from "./claims.ts";
import * as lanes from "./lanes.ts";
import * as outbox from "./outbox.ts";
import type { Tx } from "./tx.ts";

/**
 * [QU5] What is queued goes to the chats that want it: by priority, then by number, each to the least loaded that can do it. It picks the work
 * itself, so that a token that comes twice, late or never changes nothing but the time.
 */

/** Tasks that one look gives out. */
const mostAtOnce = 100;

/** A chat that has said which tasks it takes. */
interface Seat extends balance.Seat {
  readonly types: ReadonlySet<string>;
  readonly life: chatRows.LifeRow;
}

export function look(tx: Tx): { assigned: number } {
  const seats = seatsOf(tx);
  const told = new Set<string>();
  let assigned = 0;
  for (const head of heads(tx, seats)) {
    if (assigned === mostAtOnce) break;
    const seat = chosen(seats, head);
    if (!seat) continue;
    assign(tx, seat.life, head.task, "", false);
    seats.set(seat.chat, { ...seat, running: seat.running + 1 });
    told.add(seat.chat);
    assigned += 1;
  }
  for (const chat of told) tx.tell({ kind: "task", chat });
  const isLeft = tx.sql.all("SELECT 1 FROM tasks WHERE state = 'queued' LIMIT 1").length > 0;
  const isWanted = assigned === mostAtOnce && [...seats.values()].some(balance.hasRoom);
  outbox.looked(tx, isLeft, isWanted);
  return { assigned };
}

/** Something has become runnable. */
export function queued(tx: Tx): void {
  outbox.add(tx, [...seatsOf(tx).values()].some(balance.hasRoom));
}
