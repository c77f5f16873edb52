import { expect, it } from "vitest";
import { weekOf } from "#src/experiments/kaizen/week.ts";
import { claimReview } from "#src/local-mcp/experiments/review-schedule.ts";
import { weeklyFacts } from "#src/local-mcp/experiments/weekly-facts.ts";
import { aDeadClaude, anotherClaude } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it("[EX80] one process a day gets the review, and none on the first day", () => {
  const runtime = tempRuntime();
  const claim = (): boolean => runtime.store.write((sql) => claimReview(sql, runtime.now()));
  expect([claim(), claim()]).toEqual([false, false]);
  runtime.wait(86_400_001);
  const other = tempRuntime({ beside: runtime });
  expect([claim(), other.store.write((sql) => claimReview(sql, other.now()))]).toEqual([true, false]);
  runtime.wait(86_400_001);
  expect(claim()).toBe(true);
});

it("[EX83] the facts of a week are those of its rows", () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  runtime.wait(60_000);
  const next = anotherClaude(runtime, dead);
  next.start();
  next.prompt("continue");
  const facts = runtime.store.read((sql) => weeklyFacts(sql, weekOf(runtime.now())), null);
  expect(facts).toMatchObject({
    sessions: 2,
    deaths: [{ cause: "killed", count: 1 }],
    recoveries: { offered: 1, dismissed: 0 },
    costs: [],
    steps: [],
  });
  expect(facts?.checkpoints.count).toBeGreaterThan(0);
  runtime.wait(14 * 86_400_000);
  const later = runtime.store.read((sql) => weeklyFacts(sql, weekOf(runtime.now())), null);
  expect(later).toMatchObject({ sessions: 0, deaths: [], recoveries: { offered: 0 }, checkpoints: { count: 0 } });
});
