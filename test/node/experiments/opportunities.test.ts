import { afterAll, expect, it } from "vitest";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { aHistory, type Plant } from "#harness/experiments/histories.ts";
import { opportunityPatterns, type OpportunityPattern } from "#src/contract/opportunities.ts";
import { findOpportunities } from "#src/experiments/opportunities/find-opportunities.ts";

/** 1,000 in `npm run stress -- opportunities`. */
const runs = Number(process.env["SHIM_OPPORTUNITY_RUNS"] ?? 50);
const seed = Number(process.env["SHIM_OPPORTUNITY_SEED"] ?? 1);
const timeout = 60_000 + runs * 1_000;

const rows: string[] = [];
afterAll(() => {
  if (process.env["SHIM_OPPORTUNITY_RUNS"] === undefined) return;
  console.log(["| history | runs | found | bound |", "| --- | --- | --- | --- |", ...rows].join("\n"));
});

const dayMs = 86_400_000;
const models = [
  { type: "type-0", model: "large", tasks: 800, accepted: 720, costMicros: 50_000 },
  { type: "type-0", model: "small", tasks: 800, accepted: 728, costMicros: 5_000 },
];

/** Size and strength that a month of work can have. */
const planted: Readonly<Record<OpportunityPattern, Plant>> = {
  old_checkpoint_at_death: { rates: { oldCheckpoint: 0.8 }, sessions: 120, events: 60, hazard: 0.01 },
  context_full_unseen: { rates: { unseen: 0.8 }, sessions: 120, events: 60, hazard: 0.01, cause: "context_full" },
  out_of_memory_unseen: { rates: { unseen: 0.8 }, sessions: 120, events: 60, hazard: 0.01, cause: "out_of_memory" },
  reason_without_death: { sessions: 250, events: 60, hazard: 0.02, isCalm: true, cause: "killed", toolErrorHazard: 0 },
  reason_before_death: { sessions: 250, events: 60, hazard: 0.003, isCalm: true, cause: "killed", toolErrorHazard: 20 },
  unchanged_saves: { rates: { unchanged: 0.9 }, sessions: 150, events: 150, hazard: 0.0005 },
  large_store: { storeShare: 0.85, sessions: 40 },
  offers_dismissed: { rates: { dismissed: 0.8, open: 0.1 }, rows: 40, dismissedAgeMs: 5 * dayMs },
  offers_ignored: { rates: { open: 0.9, dismissed: 0 }, rows: 60 },
  brief_cut: { rates: { cutBrief: 0.6 }, sessions: 80 },
  rediscovery: { rates: { rediscovered: 0.8 }, sessions: 80 },
  task_retries: { rates: { retried: 0.6 }, rows: 60 },
  task_timeouts: { rates: { timedOut: 0.5 }, rows: 60 },
  task_stalls: { rates: { stalled: 0.5 }, rows: 60 },
  task_poison: { rates: { poison: 0.4 }, rows: 60 },
  waits_with_idle_chats: { rates: { waiting: 0.7 }, rows: 40 },
  uneven_load: { rates: { busiest: 8 }, rows: 300 },
  chats_came_back: { rates: { back: 0.7 }, rows: 40 },
  cheaper_model: { rows: 10, models },
};

it.each(opportunityPatterns)("[EX61] a history with %s has that finding, run after run", { timeout }, (pattern) => {
  const random = seededRandom(seed);
  const count = Math.max(5, runs / 10);
  const found = Array.from({ length: count }, () => findOpportunities(aHistory(random, planted[pattern])).findings);
  const hits = found.filter((findings) => findings.some((one) => one.pattern === pattern)).length;
  rows.push(`| planted: ${pattern} | ${count} | ${((hits / count) * 100).toFixed(1)} % | 100 % |`);
  expect(hits).toBe(count);
});

it("[EX62] of random histories without a pattern at most one in a hundred has a finding", { timeout }, () => {
  const random = seededRandom(seed);
  const found = Array.from({ length: runs }, () => findOpportunities(aHistory(random)).findings.map(({ id }) => id));
  const wrong = found.filter(({ length }) => length > 0);
  rows.push(`| without a pattern | ${runs} | ${((wrong.length / runs) * 100).toFixed(2)} % | at most 1 % |`);
  expect(wrong.length, JSON.stringify(wrong)).toBeLessThanOrEqual(runs / 100);
});
