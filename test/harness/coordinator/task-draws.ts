import * as fc from "fast-check";
import { from, pause, rarely, requests, step, value, type Draft, type Step } from "./frame-draws.ts";

/** Frames about tasks, and what comes before them. */

const claimId = fc.nat(10_000).map((n) => `c${n}`);
const isStarted = rarely(from(true), from(false), 4);
const usage = rarely(from(undefined), from({ tokens: 5 }), 20);
const limit = fc.integer({ min: 1, max: 9 });
const next = rarely(from(undefined), fc.record({ limit, isStarted }), 6);
const acknowledgements = requests("tasks.ack", { result: value, usage, next }, 9);

const newTask = fc.record({
  type: rarely(from("t", "u"), from("v"), 6),
  payload: value,
  heartbeatMs: rarely(from(60_000), from(2_000)),
  startToCloseMs: rarely(from(600_000), from(10_000)),
  dependsOn: rarely(from<number[]>([]), from([1], [2, 3]), 8),
});

/** Tasks of which one chat claims some, and what it does with them. */
const work: fc.Arbitrary<Step[]> = fc
  .record({
    tasks: fc.array(newTask, { minLength: 2, maxLength: 12 }),
    claim: requests("tasks.claim", { requestId: claimId, limit: from(9), isStarted }, 1),
    ms: pause,
    end: acknowledgements,
  })
  .map(({ tasks, claim, ms, end }): Step[] => {
    return [
      { kind: "call", name: "tasks.submit", input: { tasks } },
      { kind: "frame", drafts: claim },
      { kind: "wait", ms: ms % 9_000, pings: true, rings: false },
      { kind: "frame", drafts: end.slice(0, tasks.length).map(toNewest) },
    ];
  });

function toNewest(draft: Draft, at: number): Draft {
  return draft.pick % 12 === 0 && draft.pick > 0 ? draft : { ...draft, pick: at };
}

const late = acknowledgements.map((drafts): Step[] => [{ kind: "frame", drafts }]);

export const history = fc
  .array(
    fc.oneof(
      { weight: 5, arbitrary: step.map((one) => [one]) },
      { weight: 1, arbitrary: work },
      { weight: 1, arbitrary: late },
    ),
    { minLength: 5, maxLength: 25 },
  )
  .map((parts) => parts.flat());
