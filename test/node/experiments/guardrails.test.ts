import { expect, it } from "vitest";
import { findViolation, type Silence, type WorkspaceCounts } from "#src/experiments/workspace/guardrails.ts";

const dayMs = 86_400_000;
const before = { ended: 400, dead: 8, attempts: 500, overdue: 10, silent: 7, silentMs: 7 * dayMs };
const calm = { silent: 1, silentMs: dayMs };

function after(more: Partial<WorkspaceCounts>, silence: Silence = calm) {
  const { ended, dead, attempts, overdue } = before;
  return findViolation(before, { ended, dead, attempts, overdue, isDaySpent: false, ...more }, silence)?.guardrail;
}

it("[EX94] each guardrail finds its harm, and what is usual is none", () => {
  expect(after({})).toBeUndefined();
  expect(after({ ended: 500, dead: 10, attempts: 625, overdue: 13 })).toBeUndefined();
  expect(after({ ended: 430, dead: 18 })).toBe("deadTasks");
  expect(after({ attempts: 530, overdue: 22 })).toBe("overdueAttempts");
  expect(after({}, { silent: 12, silentMs: dayMs })).toBe("silentChats");
  expect(after({}, { silent: 3, silentMs: dayMs })).toBeUndefined();
  expect(after({ isDaySpent: true })).toBe("dayBudget");
});

it("[EX94] without a history half is the limit, and counters that start again are read as new ones", () => {
  const none = { ended: 0, dead: 0, attempts: 0, overdue: 0, silent: 0, silentMs: 0 };
  const counts = { ended: 20, dead: 9, attempts: 20, overdue: 0, isDaySpent: false };
  expect(findViolation(none, counts, calm)).toBeNull();
  expect(findViolation(none, { ...counts, dead: 19 }, calm)?.guardrail).toBe("deadTasks");
  expect(after({ ended: 20, dead: 0, attempts: 20, overdue: 0 })).toBeUndefined();
  expect(after({ ended: 20, dead: 20, attempts: 20, overdue: 0 })).toBe("deadTasks");
});

it("[EX94] a harmless value is stopped in at most 2 % of trials that are read every day of a week", () => {
  let seed = 7;
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  const draw = (n: number, share: number): number =>
    Array.from({ length: n }, random).filter((one) => one < share).length;
  let stopped = 0;
  const trials = 400;
  for (let trial = 0; trial < trials; trial++) {
    const usual = {
      ended: 60,
      dead: draw(60, 0.05),
      attempts: 80,
      overdue: draw(80, 0.1),
      silent: draw(70, 0.1),
      silentMs: 7 * dayMs,
    };
    const total = { ended: usual.ended, dead: usual.dead, attempts: usual.attempts, overdue: usual.overdue };
    let silent = 0;
    for (let day = 1; day <= 7; day++) {
      total.ended += 20;
      total.attempts += 25;
      total.dead += draw(20, 0.05);
      total.overdue += draw(25, 0.1);
      silent += draw(10, 0.1);
      const found = findViolation(usual, { ...total, isDaySpent: false }, { silent, silentMs: day * dayMs });
      if (found === null) continue;
      stopped += 1;
      break;
    }
  }
  expect(stopped / trials).toBeLessThanOrEqual(0.02);
});
