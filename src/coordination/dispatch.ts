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
  const queue = new Turns(tx, [...free.values()]);
  const known = performances.ofTakers(tx, queue.types);
  const told = new Map<string, seats.Seat>();
  let assigned = 0;
  for (let head = queue.next(); head && assigned < mostAtOnce && free.size > 0; head = queue.next()) {
    const seat = chosen([...free.values()], head, known);
    // Nobody has room for more of its lane: seats only fill.
    if (!seat) continue;
    assign(tx, seat.life, head.task, pushed, false);
    queue.goOn(head.lane);
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

const order = lanes.byTurn(lanes.nobody);

/** What is queued in lanes that somebody with room takes, in its turn: of each lane one task is read at a time. */
class Turns {
  readonly types: ReadonlySet<string>;
  readonly #tx: Tx;
  /** The last one has its turn first. */
  readonly #fronts: lanes.Front[];

  constructor(tx: Tx, open: readonly seats.Seat[]) {
    this.#tx = tx;
    const wanted: string[] = [];
    const found = open.length === 0 ? [] : lanes.queued(tx);
    for (const lane of found) if (open.some((seat) => seats.takes(seat, lane))) wanted.push(lane);
    this.types = new Set(wanted.map((lane) => lanes.typeIn(lane)));
    this.#fronts = lanes.fronts(tx, wanted).toSorted((a, b) => order(b, a));
  }

  next(): lanes.Front | undefined {
    return this.#fronts.pop();
  }

  /** Its first task was given out: the one behind it has its turn some time. */
  goOn(lane: string): void {
    const [front] = lanes.fronts(this.#tx, [lane]);
    if (!front) return;
    const place = this.#fronts.findLastIndex((one) => order(one, front) > 0);
    this.#fronts.splice(place + 1, 0, front);
  }
}

/** [PL18] What is known of each for this type of task counts. */
function chosen(
  all: readonly seats.Seat[],
  { lane, affinity }: lanes.Front,
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
