import * as balance from "./balance.ts";
import * as chatRows from "./chat-rows.ts";
import { assign, pushed } from "./claims.ts";
import * as lanes from "./lanes.ts";
import * as moves from "./moves.ts";
import * as outbox from "./outbox.ts";
import * as performances from "./performances.ts";
import * as seats from "./seats.ts";
import type { Tx } from "./tx.ts";

/** Tasks that one look gives out. */
const mostAtOnce = 100;

/**
 * [QU5] What is queued goes to the chats that want it: by priority, then by number, each to the least loaded that can do it. It picks the work
 * itself, so that a token that comes twice, late or never changes nothing but the time. @returns how many tasks it gave out
 */
export function look(tx: Tx): number {
  const free = new Map(seats.open(tx).map((seat) => [seat.chat, seat]));
  const queued = heads(tx, [...free.values()]);
  const known = performances.ofTakers(tx, new Set(queued.map(({ lane }) => lanes.typeIn(lane))));
  const told = new Map<string, seats.Seat>();
  let assigned = 0;
  for (const head of queued) {
    if (assigned === mostAtOnce || free.size === 0) break;
    const seat = chosen([...free.values()], head, known);
    if (!seat) continue;
    assign(tx, seat.life, head.task, pushed, false);
    const now = { ...seat, running: seat.running + 1 };
    if (balance.hasRoom(now)) free.set(seat.chat, now);
    else free.delete(seat.chat);
    told.set(seat.chat, seat);
    assigned += 1;
  }
  for (const { chat, life } of told.values()) {
    chatRows.given(tx, life);
    tx.tell({ kind: "task", chat });
  }
  if (assigned > 0) moves.arm(tx);
  outbox.looked(tx, assigned === mostAtOnce && seats.areWaiting(tx));
  return assigned;
}

/** The first ones of each lane that somebody with room can do, in their turn. */
function heads(tx: Tx, open: readonly seats.Seat[]): lanes.Head[] {
  const room = Math.min(
    mostAtOnce,
    open.reduce((sum, { capacity, running }) => sum + capacity - running, 0),
  );
  if (room === 0) return [];
  const wanted = [...lanes.queued(tx)].filter((lane) => open.some((seat) => seats.takes(seat, lane)));
  return lanes
    .firstOf(tx, wanted, lanes.nobody, room)
    .flatMap((lane) => lanes.heads(tx, lane, room))
    .toSorted(lanes.byTurn(lanes.nobody));
}

/** [PL18] What is known of each for this type of task counts. */
function chosen(
  all: readonly seats.Seat[],
  { lane, affinity }: lanes.Head,
  known: ReadonlyMap<string, performances.ByType>,
): seats.Seat | undefined {
  const type = lanes.typeIn(lane);
  const candidates = all
    .filter((seat) => seats.takes(seat, lane))
    .map((seat) => seats.withPerformance(seat, known.get(seat.chat)?.get(type) ?? null));
  const { chat } = balance.selectSession(candidates, { capabilities: lanes.capabilitiesIn(lane), affinity });
  return candidates.find((seat) => seat.chat === chat);
}

/** For the alarm. */
export function remind(tx: Tx): void {
  outbox.resend(tx, seats.areWaiting(tx));
}
