import { expect, it } from "vitest";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { paces, paceSession, withFailedSaves, type Pace } from "#harness/experiments/paces.ts";
import { aSession } from "#harness/experiments/sessions.ts";
import { defaults } from "#src/contract/config.ts";
import type { ReplaySession } from "#src/contract/replay.ts";
import {
  findOpportunities,
  unsavedAgeMs,
  type Opportunities,
} from "#src/learning/experiments/opportunities/find-opportunities.ts";
import type { PastSession } from "#src/learning/experiments/opportunities/history.ts";
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
  const none = { offers: [], storeBytes: 0, team: null, changes: [] };
  return findOpportunities({ now, windowMs: 30 * 1_440 * minute, config, sessions: past, ...none });
}

const seeds = Array.from({ length: runs }, (_, index) => 1_000 * index + 7);
const timeout = 240_000 + runs * 3_000;
const mixed = paces.map((pace) => Object.assign({}, pace, { everyMs: 5 * minute }));
const normal = [...paces.map((pace) => ({ name: pace.name, of: [pace] })), { name: "all in one history", of: mixed }];

it.each(normal)("deaths at random moments of a normal pace are no finding: $name", { timeout }, ({ of }) => {
  const all = seeds.map((seed) => opportunitiesOf(of, seed));
  expect(all.every(({ unjudged }) => unjudged.every((one) => one.pattern !== pattern))).toBe(true);
  const found = all.flatMap(({ findings }) => findings.map((one) => one.pattern));
  expect(found.filter((one) => one === pattern).length).toBeLessThanOrEqual(0.005 * runs);
});

/** Sessions of many intervals: in short ones hardly any age is unusual. */
const long = paces
  .filter(({ events }) => events === 60)
  .map((pace) => Object.assign({}, pace, { events: 250, everyMs: 2 * minute }));

it.each(long)("checkpoints that fail before deaths are found in most histories: $name", { timeout }, (pace) => {
  const fail = (session: ReplaySession): ReplaySession => withFailedSaves(session, 2 * pace.everyMs);
  const found = seeds.map((seed) => opportunitiesOf([pace], seed, fail).findings.map((one) => one.pattern));
  expect(found.filter((patterns) => patterns.includes(pattern)).length).toBeGreaterThan(0.6 * runs);
});

const call = (at: number, isSame = false) => ({
  at,
  kind: "tool_end" as const,
  ...(isSame ? { isSame: true as const } : {}),
});
const saved = (at: number) => ({ at, trigger: "time" });
const died = (at: number) => ({ at, kind: "died", cause: "killed" }) as const;

it("the age of a checkpoint is the time since the first event after it that changed something", () => {
  const events = [call(0), call(4 * minute), call(6 * minute, true), call(7 * minute)];
  const end = died(10 * minute);
  const ageAfter = (...saves: number[]) => unsavedAgeMs(aSession({ events, saves: saves.map(saved), end }));
  expect([ageAfter(), ageAfter(5 * minute), ageAfter(5 * minute, 7 * minute)]).toEqual([10 * minute, 3 * minute, 0]);
});

it("a death in a pause is no case", () => {
  const none = { offers: [], storeBytes: 0, team: null, changes: [] };
  const found = (at: number) => {
    const session = aSession({ events: [call(0), call(60_000)], end: died(at) });
    const sessions = Array.from({ length: 40 }, () => ({ at: now, session }));
    return findOpportunities({ now, windowMs: minute, config: defaults, sessions, ...none }).findings.length;
  };
  expect([found(6 * minute), found(6 * minute + 1)]).toEqual([1, 0]);
});
