import * as fc from "fast-check";
import { expect, it } from "vitest";
import { initialPerformance, selectChat, update } from "#src/coordination/tasks/candidates.ts";
import type { Candidate, ChatLoad, Performance, RunOutcome } from "#src/coordination/tasks/candidates.ts";
import { rebalance, type AssignedTask, type Reassignment } from "#src/coordination/scheduling/rebalance.ts";

const fresh = { running: 0, capacity: 3, capabilities: [], performance: null, lastAssignedAt: null };
const aCandidate = (chat: string, fields: Partial<Candidate> = {}): Candidate => ({ chat, ...fresh, ...fields });

const anyTask = { capabilities: [], affinity: null };

const [upToFive, capabilities] = [fc.integer({ min: 0, max: 5 }), fc.subarray(["web", "db"])];
const anyChatLoad = fc.record({ running: upToFive, capacity: upToFive, capabilities });
const affinity = fc.option(fc.constantFrom("c0", "c1", "c5", "gone"));
const anyWanted = fc.record({ capabilities, affinity });

const chosen = (...asked: Parameters<typeof selectChat>) => selectChat(...asked)?.chat ?? null;

const after = (outcomes: readonly RunOutcome[]): Performance => outcomes.reduce(update, initialPerformance);
const success = (durationMs: number): RunOutcome => ({ isSuccess: true, durationMs });
const failure: RunOutcome = { isSuccess: false, durationMs: 1 };

it("load, affinity, performance, longest without a task, name: each decides where those before it are even", () => {
  const slow = after([success(9_000)]);
  const one = aCandidate("a", { running: 1, performance: slow, lastAssignedAt: 9 });
  const rivals: readonly [string, Candidate][] = [
    ["name", { ...one, chat: "A" }],
    ["longest without", { ...one, chat: "b", lastAssignedAt: 8 }],
    ["never had one", { ...one, chat: "c", lastAssignedAt: null }],
    ["faster", { ...one, chat: "d", performance: after([success(8_000)]), lastAssignedAt: 10 }],
    ["affinity", { ...one, chat: "e", performance: after([failure]), lastAssignedAt: 10 }],
    ["less load", { ...one, chat: "f", capacity: 4, performance: after([failure]), lastAssignedAt: 10 }],
  ];
  const task = { capabilities: [], affinity: "e" };
  for (const [at, [, rival]] of rivals.entries()) {
    const before = rivals.slice(0, at).map(([, candidate]) => candidate);
    expect(chosen([one, ...before, rival], task)).toBe(rival.chat);
  }
});

it("a new outcome counts for a fifth, and only successes count for duration", () => {
  const first = update(initialPerformance, success(1_000));
  expect(first).toEqual({ successRate: 1, durationMs: 1_000 });
  expect(update(first, success(2_000))).toEqual({ successRate: 1, durationMs: 1_200 });
  const failed = update(first, failure);
  expect(failed).toEqual({ successRate: 0.8, durationMs: 1_000 });
  expect(update(failed, success(1_000)).successRate).toBeCloseTo(0.84, 10);
  expect(update(initialPerformance, failure)).toEqual({ successRate: 0.8, durationMs: null });
});

function known(chat: string, successRate: number, durationMs: number | null): Candidate {
  return aCandidate(chat, { performance: { successRate, durationMs } });
}

it("a fast failure is not preferred to a slow success, nor a little speed to a clear difference in success", () => {
  const fast = known("fast", 0.78, 10);
  expect(chosen([known("broken", 0.5, null), known("steady", 1, 60_000)], anyTask)).toBe("steady");
  expect(chosen([fast, known("sure", 0.92, 900)], anyTask)).toBe("sure");
  expect(chosen([fast, known("alike", 0.81, 900)], anyTask)).toBe("fast");
  // Of whom nothing is known the best is expected.
  expect(chosen([known("a", 1, 1), aCandidate("b")], anyTask)).toBe("b");
});

type World = Readonly<{ loads: readonly ChatLoad[]; assigned: readonly AssignedTask[] }>;

/** Chats hold the tasks that are assigned to them, and sometimes more than they take. */
const anyWorld: fc.Arbitrary<World> = fc
  .tuple(
    fc.array(anyChatLoad, { minLength: 1, maxLength: 6 }),
    fc.array(fc.tuple(fc.nat(), anyWanted, fc.boolean()), { maxLength: 24 }),
  )
  .map(([drawn, tasks]) => {
    const chatAt = (at: number): string => `c${at % drawn.length}`;
    const assigned = tasks.map(([at, wanted, isStarted], task) => ({ ...wanted, task, chat: chatAt(at), isStarted }));
    const heldBy = (name: string): number => assigned.filter(({ chat }) => chat === name).length;
    const loads = drawn.map((load, at) => ({ ...load, chat: chatAt(at), running: heldBy(chatAt(at)) }));
    return { loads, assigned };
  });

function moved({ loads, assigned }: World, moves: readonly Reassignment[]): World {
  const to = new Map(moves.map((move) => [move.task, move.to]));
  const next = assigned.map((task) => ({ ...task, chat: to.get(task.task) ?? task.chat }));
  const counts = Map.groupBy(next, ({ chat }) => chat);
  return { assigned: next, loads: loads.map((load) => ({ ...load, running: counts.get(load.chat)?.length ?? 0 })) };
}

const waiting = ({ assigned }: World) => assigned.filter(({ isStarted }) => !isStarted);
/** Where a task would go by load alone, were it new: chats with less load than its own has without it. */
function better({ loads }: World, task: AssignedTask): readonly ChatLoad[] {
  const own = loads.find(({ chat }) => chat === task.chat);
  const share = own && own.capacity > 0 ? (own.running - 1) / own.capacity : Number.POSITIVE_INFINITY;
  return loads.filter(({ chat, running, capacity, capabilities }) => {
    const isAble = running < capacity && task.capabilities.every((one) => capabilities.includes(one));
    return chat !== task.chat && isAble && running / capacity < share - 1e-9;
  });
}

it("only what has not started moves, once, to a chat that can do it and has room, until none would be better elsewhere", () => {
  fc.assert(
    fc.property(anyWorld, (world) => {
      const moves = rebalance(world.loads, world.assigned);
      const next = moved(world, moves);
      expect(new Set(moves.map(({ task }) => task)).size).toBe(moves.length);
      for (const { task, from, to } of moves) {
        const before = world.assigned.find((one) => one.task === task);
        const load = next.loads.find(({ chat }) => chat === to);
        expect(before).toMatchObject({ chat: from, isStarted: false });
        expect(load?.capabilities).toEqual(expect.arrayContaining([...(before?.capabilities ?? ["?"])]));
        expect(load?.running ?? 9).toBeLessThanOrEqual(load?.capacity ?? 0);
      }
      expect(waiting(next).flatMap((task) => better(next, task))).toEqual([]);
      expect(moves.length > 0).toBe(waiting(world).some((task) => better(world, task).length > 0));
      expect(rebalance(world.loads.toReversed(), world.assigned.toReversed())).toEqual(moves);
    }),
    { numRuns: 500 },
  );
});

/** Those that go from one chat to an empty one, of tasks with these affinities. */
function reassigned(affinities: readonly (string | null)[]): number[] {
  const loads = ["a", "b"].map((chat) => ({ chat, running: chat === "a" ? 4 : 0, capacity: 4, capabilities: [] }));
  const of = { chat: "a", isStarted: false, capabilities: [] };
  const tasks = affinities.map((affinity, task) => Object.assign({ task, affinity }, of));
  return rebalance(loads, tasks).map(({ task }) => task);
}

it("the newest are reassigned first, those with affinity to the receiver before them, to the giver last", () => {
  expect(reassigned([null, null, null, null])).toEqual([2, 3]);
  expect(reassigned(["b", null, null, null])).toEqual([0, 3]);
  expect(reassigned([null, null, "a", "a"])).toEqual([0, 1]);
});
