import * as fc from "fast-check";
import { expect, it } from "vitest";
import { selectChat, type ChatLoad } from "#src/coordination/tasks/candidates.ts";
import { rebalance, type AssignedTask, type Reassignment } from "#src/coordination/scheduling/rebalance.ts";
import { aCandidate, anyChatLoad, anyTask, anyWanted } from "#harness/coordinator/candidates.ts";

interface World {
  readonly seats: readonly ChatLoad[];
  readonly assigned: readonly AssignedTask[];
}

/** Chats hold the tasks that are assigned to them, and sometimes more than they take. */
const anyWorld: fc.Arbitrary<World> = fc
  .tuple(
    fc.array(anyChatLoad, { minLength: 1, maxLength: 6 }),
    fc.array(fc.tuple(fc.nat(), anyWanted, fc.boolean()), { maxLength: 24 }),
  )
  .map(([drawn, tasks]) => {
    const assigned = tasks.map(([at, wanted, isStarted], task) => ({
      ...wanted,
      task,
      chat: `c${at % drawn.length}`,
      isStarted,
    }));
    const seats = drawn.map((seat, at) => ({
      ...seat,
      chat: `c${at}`,
      running: assigned.filter(({ chat }) => chat === `c${at}`).length,
    }));
    return { seats, assigned };
  });

function moved({ seats, assigned }: World, moves: readonly Reassignment[]): World {
  const to = new Map(moves.map((move) => [move.task, move.to]));
  const next = assigned.map((task) => ({ ...task, chat: to.get(task.task) ?? task.chat }));
  const counts = Map.groupBy(next, ({ chat }) => chat);
  return { assigned: next, seats: seats.map((seat) => ({ ...seat, running: counts.get(seat.chat)?.length ?? 0 })) };
}

it("only a task that has not started is reassigned, once, to a chat that can do it and had room", () => {
  fc.assert(
    fc.property(anyWorld, (world) => {
      const moves = rebalance(world.seats, world.assigned);
      expect(new Set(moves.map(({ task }) => task)).size).toBe(moves.length);
      const next = moved(world, moves);
      for (const { task, from, to } of moves) {
        const before = world.assigned.find((one) => one.task === task);
        const seat = next.seats.find(({ chat }) => chat === to);
        expect(before).toMatchObject({ chat: from, isStarted: false });
        expect(seat?.capabilities).toEqual(expect.arrayContaining([...(before?.capabilities ?? ["?"])]));
        expect(seat?.running ?? 9).toBeLessThanOrEqual(seat?.capacity ?? 0);
      }
      expect(rebalance(world.seats.toReversed(), world.assigned.toReversed())).toEqual(moves);
    }),
    { numRuns: 500 },
  );
});

const waiting = ({ assigned }: World) => assigned.filter(({ isStarted }) => !isStarted);
/** Where a task would go by load alone, were it new: chats with less load than its own has without it. */
function better({ seats }: World, task: AssignedTask): readonly ChatLoad[] {
  const own = seats.find(({ chat }) => chat === task.chat);
  const load = own && own.capacity > 0 ? (own.running - 1) / own.capacity : Number.POSITIVE_INFINITY;
  return seats.filter(
    ({ chat, running, capacity, capabilities }) =>
      chat !== task.chat &&
      running < capacity &&
      task.capabilities.every((one) => capabilities.includes(one)) &&
      running / capacity < load - 1e-9,
  );
}

it("at rest no task that has not started would be better elsewhere by load, and before that one was", () => {
  fc.assert(
    fc.property(anyWorld, (world) => {
      const moves = rebalance(world.seats, world.assigned);
      const next = moved(world, moves);
      expect(waiting(next).flatMap((task) => better(next, task))).toEqual([]);
      expect(moves.length > 0).toBe(waiting(world).some((task) => better(world, task).length > 0));
    }),
    { numRuns: 500 },
  );
});

it("a task whose chat was selected just now is not reassigned", () => {
  fc.assert(
    fc.property(anyWorld, anyWanted, (start, wanted) => {
      const world = moved(start, rebalance(start.seats, start.assigned));
      const candidates = world.seats.map((seat) => aCandidate(seat.chat, seat));
      const { chat } = selectChat(candidates, wanted) ?? {};
      if (chat === undefined) return;
      const task = { ...wanted, task: 1_000, chat, isStarted: false };
      const next = moved({ seats: world.seats, assigned: [...world.assigned, task] }, []);
      const moves = rebalance(next.seats, next.assigned);
      const shown = moves.filter((move) => move.task === task.task);
      expect(shown).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

const seat = (chat: string, running: number, capacity = 3): ChatLoad => ({ chat, running, capacity, capabilities: [] });
const of = (chat: string, count: number): AssignedTask[] =>
  Array.from({ length: count }, (_, task) => ({ ...anyTask, task, chat, isStarted: false }));

it("the newest are reassigned first, those with affinity to the receiver before them, to the giver last", () => {
  const seats = [seat("a", 4, 4), seat("b", 0, 4)];
  const tasks = (affinities: readonly (string | null)[]) =>
    rebalance(
      seats,
      affinities.map((affinity, task) => ({ task, chat: "a", isStarted: false, capabilities: [], affinity })),
    ).map(({ task }) => task);
  expect(tasks([null, null, null, null])).toEqual([2, 3]);
  expect(tasks(["b", null, null, null])).toEqual([0, 3]);
  expect(tasks([null, null, "a", "a"])).toEqual([0, 1]);
});

it("a difference of one task changes nothing; a chat of capacity 0 gives away all its tasks", () => {
  expect(rebalance([seat("a", 1), seat("b", 0)], of("a", 1))).toEqual([]);
  expect(rebalance([seat("a", 2), seat("b", 0)], of("a", 2))).toEqual([{ task: 1, from: "a", to: "b" }]);
  expect(rebalance([seat("a", 2, 0), seat("b", 2)], of("a", 2))).toEqual([{ task: 1, from: "a", to: "b" }]);
  expect(rebalance([seat("b", 0)], of("gone", 2))).toEqual([]);
  expect(rebalance([seat("a", 2)], of("a", 2))).toEqual([]);
  expect(rebalance([], [])).toEqual([]);
});
