import type { ClaimedTask, ClaimOptions } from "#src/contract/tasks.ts";
import type { Sim } from "../sim.ts";
import type { KnownTask } from "./task-known.ts";
import type { Grant, TaskLedger } from "./task-ledger.ts";
import { isAble } from "./workers.ts";

/** Who asks for tasks. */
export interface Asked {
  readonly chat: string;
  readonly incarnation: number;
  readonly requestId: string;
  readonly request: ClaimOptions;
}

/** Whose turn it is: what a claim must bring, and that nobody passes. */
export class Turns {
  readonly #sim: Sim;
  readonly #ledger: TaskLedger;

  constructor(sim: Sim, ledger: TaskLedger) {
    this.#sim = sim;
    this.#ledger = ledger;
  }

  /** [TA6] [QU5] What the chat has already under this request; or what a look has given it; null: something new. A repeat brings nothing more. */
  expected({ chat, incarnation, requestId, request }: Asked, isRepeat = false): readonly number[] | null {
    const own = this.#ledger.heldBy(chat).filter(({ held }) => held?.incarnation === incarnation);
    const live = own.filter((known) => this.#sim.hostNow < known.endsAt());
    const again = live.filter(({ held }) => held?.requestId === requestId);
    if (again.length > 0 || isRepeat) return again.map(({ task }) => task);
    const given = live.filter(
      ({ held, input }) => held?.requestId === null && (request.types?.includes(input.type) ?? true),
    );
    if (given.length === 0) return null;
    this.#sim.count("took what was given");
    return given.slice(0, request.limit).map(({ task }) => task);
  }

  given({ chat, request, requestId }: Asked, expected: readonly number[] | null, claims: readonly ClaimedTask[]): void {
    const { grants } = this.#ledger;
    const want = expected ?? grants.map(({ known }) => known.task);
    const got = claims.map(({ task }) => task);
    const isSame = want.length === got.length && want.every((task) => got.includes(task));
    this.#sim.must(
      isSame,
      "task",
      () => `${chat} was answered with tasks ${got.join(" ")} to ${requestId}, not ${want.join(" ")}`,
    );
    if (expected) {
      return this.#sim.must(
        grants.length === 0,
        "task",
        () => `${chat} got more than it had, by asking again (${requestId})`,
      );
    }
    this.#inTurn(grants, ({ input }) => request.types?.includes(input.type) ?? true, true);
    if (grants.length < request.limit) this.#leavesNothing(chat, request.types);
  }

  /** What a look has given out. */
  looked(): void {
    const { grants } = this.#ledger;
    if (grants.length === 0) return;
    const byChat = Map.groupBy(grants, ({ chat }) => chat);
    for (const [chat, own] of byChat) this.#inTurn(own, (known) => this.#ledger.isOpen(chat, known), false);
  }

  /** [TA7] Nothing that is left, and that the chat could have taken, has its turn before what it got. */
  #inTurn(grants: readonly Grant[], isWanted: (known: KnownTask) => boolean, isOwnFirst: boolean): void {
    for (const { chat, known: got } of grants) {
      for (const left of this.#left(chat)) {
        if (!isWanted(left)) continue;
        const isPassed = isBefore(left, got, isOwnFirst ? chat : null);
        this.#sim.must(
          !isPassed,
          "turn",
          () => `${chat} got ${shown(got)}, and ${shown(left)} was left, which it could have taken`,
        );
      }
    }
  }

  /** Who asks, and has room, gets what there is. */
  #leavesNothing(chat: string, types: readonly string[] | undefined): void {
    const { workers } = this.#ledger;
    const { capacity = 0 } = workers.all.get(chat) ?? {};
    if (workers.draining.has(chat) || this.#ledger.queued.size === 0 || this.#ledger.countHeld(chat) >= capacity)
      return;
    const left = this.#left(chat).find(({ input }) => types?.includes(input.type) ?? true);
    this.#sim.must(!left, "turn", () => `${chat} asked and has room, and ${left && shown(left)} was left`);
  }

  /** Queued, and something that the chat could take. */
  #left(chat: string): KnownTask[] {
    const worker = this.#ledger.workers.all.get(chat);
    const { hostNow: now } = this.#sim;
    return [...this.#ledger.queued.values()].filter(
      (known) => worker && isAble(worker, known) && !known.isExpired(now),
    );
  }
}

function isBefore(one: KnownTask, other: KnownTask, chat: string | null): boolean {
  if (one.input.priority !== other.input.priority) return one.input.priority > other.input.priority;
  const [own, others] = [one, other].map(({ input }) => chat !== null && input.affinity === chat);
  if (own !== others) return own === true;
  return one.task < other.task;
}

function shown({ task, input: { priority, affinity } }: KnownTask): string {
  return `task ${task} (priority ${priority}${affinity === undefined ? "" : `, for ${affinity}`})`;
}
