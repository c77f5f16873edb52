import { expect, it } from "vitest";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { paces, paceSession, withFailedSaves, type Pace } from "#harness/experiments/paces.ts";
import { aSession } from "#harness/experiments/sessions.ts";
import { defaults } from "#src/contract/config.ts";
import type { ReplaySession } from "#src/contract/replay.ts";
import { checkpointAges } from "#src/experiments/opportunities/checkpoints.ts";
import { findOpportunities, type Opportunities } from "#src/experiments/opportunities/find-opportunities.ts";
import type { PastSession } from "#src/experiments/opportunities/history.ts";
import { withSetting } from "#src/shared/setting-keys.ts";

const runs = Number(process.env["SHIM_OPPORTUNITY_RUNS"] ?? 4);
const now = 1_700_000_000_000;
const minute = 60_000;
const pattern = "old_checkpoint_at_death";

/** A history whose sessions have these paces in turn. */
function opportunitiesOf(
  of: readonly Pace[],
  seed: number,
  change = (session: ReplaySession) => session,
): Opportunities {
  const random = seededRandom(seed);
  const everyMs = of[0]?.everyMs ?? 0;
  const changed = { "checkpoint.everyMs": everyMs, "checkpoint.everyToolCalls": 60 };
  const config = Object.entries(changed).reduce((all, [key, value]) => withSetting(all, key, value), defaults);
  const past = Array.from({ length: 60 }, (_, index): PastSession => {
    const pace = of[index % of.length];
    if (!pace) throw new Error("A history has a pace.");
    return { at: now, session: { ...change(paceSession(random, pace, config)), changed } };
  });
  const none = { offers: [], machine: [], team: null, changes: [] };
  return findOpportunities({ now, windowMs: 30 * 1_440 * minute, config, sessions: past, ...none });
}

const seeds = Array.from({ length: runs }, (_, index) => 1_000 * index + 7);
const timeout = 240_000 + runs * 3_000;
const mixed = paces.map((pace) => Object.assign({}, pace, { everyMs: 5 * minute }));
const normal = [...paces.map((pace) => ({ name: pace.name, of: [pace] })), { name: "all in one history", of: mixed }];

it.each(normal)("[EX281] deaths at random moments of a normal pace are no finding: $name", { timeout }, ({ of }) => {
  const all = seeds.map((seed) => opportunitiesOf(of, seed));
  expect(all.every(({ unjudged }) => unjudged.every((one) => one.pattern !== pattern))).toBe(true);
  const found = all.flatMap(({ findings }) => findings.map((one) => one.pattern));
  expect(found.filter((one) => one === pattern).length).toBeLessThanOrEqual(0.005 * runs);
  expect(found).not.toContain("overdue_checkpoints");
});

/** Sessions of many intervals: in short ones hardly any age is unusual. */
const long = paces
  .filter(({ events }) => events === 60)
  .map((pace) => Object.assign({}, pace, { events: 250, everyMs: 2 * minute }));

it.each(long)("[EX282] checkpoints that fail before deaths are found in most histories: $name", { timeout }, (pace) => {
  const fail = (session: ReplaySession): ReplaySession => withFailedSaves(session, 2 * pace.everyMs);
  const found = seeds.map((seed) => opportunitiesOf([pace], seed, fail).findings.map((one) => one.pattern));
  expect(found.filter((patterns) => patterns.includes(pattern)).length).toBeGreaterThan(0.6 * runs);
});

const everyMs = 5 * minute;
const tick = 15_000;
const ages = (session: ReplaySession) => checkpointAges(session, everyMs, everyMs / 2);
const call = (at: number, isSame = false) => ({ at, kind: "tool_end" as const, ...(isSame ? { isSame } : {}) });
const saved = (at: number) => ({ at, trigger: "time", bytes: 1, counts: null });
const died = (at: number) => ({ at, kind: "died", cause: "killed" }) as const;

it("[EX280] the age of a checkpoint is the time since the first event after it that changed something", () => {
  const events = [call(0), call(4 * minute), call(6 * minute, true), call(7 * minute)];
  const saves = [saved(5 * minute)];
  expect(ages(aSession({ events, saves, end: died(10 * minute) }))).toEqual({
    atEndMs: 3 * minute,
    isActiveAtEnd: true,
    activeMs: 10 * minute,
    // Of the first interval the second half, and half a minute before the death.
    oldShare: 3 / 10,
    // The next checkpoint was due at 10 min 15 s.
    lastOldShare: 45_000 / (3 * minute + tick),
  });
  const nothing = aSession({ events, saves: [saved(5 * minute), saved(7 * minute)], end: died(10 * minute) });
  expect(ages(nothing)).toMatchObject({ atEndMs: 0, lastOldShare: 0 });
});

it("[EX280] a pause counts as active for five minutes, and a checkpoint in it covers what was before it", () => {
  const events = [call(0), call(60 * minute)];
  const end = died(61 * minute);
  expect(ages(aSession({ events, saves: [saved(20 * minute)], end }))).toMatchObject({
    activeMs: 6 * minute,
    oldShare: 2.5 / 6,
    atEndMs: minute,
    // Due when work begins again: no moment is old as long as it comes.
    lastOldShare: 0,
    isActiveAtEnd: true,
  });
  expect(ages(aSession({ events, end: died(66 * minute) })).isActiveAtEnd).toBe(false);
});

it("[EX283] checkpoints that are overdue most of the time are a finding for a person, pruned ones are not", () => {
  const events = Array.from({ length: 60 }, (_, index) => call(index * minute));
  const { checkpointsPerSession } = defaults.retention;
  const full = Array.from({ length: checkpointsPerSession }, (_, index) => saved(59 * minute + index));
  const found = (saves: ReplaySession["saves"]): string[] => {
    const past = Array.from({ length: 12 }, () => ({ at: now, session: aSession({ events, saves }) }));
    const none = { offers: [], machine: [], team: null, changes: [] };
    const { findings } = findOpportunities({ now, windowMs: minute, config: defaults, sessions: past, ...none });
    return findings.map(({ id, test, to }) => [id, test, to].join(" "));
  };
  expect(found([])).toEqual(["overdue_checkpoints:checkpoint.everyMs person "]);
  expect(found([saved(59 * minute)])).toHaveLength(1);
  expect(found(full)).toEqual([]);
  expect(found(events.map(({ at }) => saved(at)))).toEqual([]);
});
