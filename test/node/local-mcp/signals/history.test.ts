import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Store } from "#src/store/store.ts";
import type { Risk, RiskLevel } from "#src/contract/readings.ts";
import { list, record, recordCrash, thin, type Crash } from "#src/local-mcp/signals/history.ts";
import { listCrashes } from "#harness/machine/crashes.ts";
import { someReadings } from "#harness/machine/readings.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
/** A whole multiple of a quarter of an hour, so that buckets begin where the tests say. */
const T0 = 1_700_000_100_000;
const limits = { maxAgeMs: 30 * day };

function aStore(): Store {
  return tempRuntime({ now: T0 }).store;
}

function aRisk(score: number, level: RiskLevel = "safe"): Risk {
  return { score, level, reasons: [] };
}

/** Samples at the times given, some with a score of their own. */
function fill(
  store: Store,
  sessionId: string,
  samples: readonly (number | readonly [at: number, score: number])[],
): void {
  const query = "INSERT INTO signals (session, at, score, level, readings) VALUES (?, ?, ?, 'safe', '{}')";
  store.write((sql) => {
    for (const one of samples) {
      const [at, score] = typeof one === "number" ? [one, 0] : one;
      sql.run(query, sessionId, at, score);
    }
  });
}

const times = (store: Store, sessionId = "a"): number[] =>
  store.read((sql) => list(sql, sessionId, { limit: 1_000 }), []).map((sample) => sample.at);

function aCrash(overrides: Partial<Crash> = {}): Crash {
  return {
    session: "a",
    at: T0,
    cause: "killed",
    detail: "Its process vanished.",
    readings: someReadings({ contextFill: 0.4 }, T0),
    checkpointAgeMs: 60_000,
    unsavedEvents: 3,
    unsavedToolCalls: 1,
    ...overrides,
  };
}

it("[SI20] keeps a sample when it says something new", () => {
  const store = aStore();
  const readings = someReadings({ contextFill: 0.5 }, T0);
  const keep = (at: number, risk: Risk): boolean => store.write((sql) => record(sql, at, "a", readings, risk));
  expect(keep(T0, aRisk(0.1))).toBe(true);
  expect(keep(T0 + 1, aRisk(0.1))).toBe(false);
  expect(keep(T0 + 2, aRisk(0.2))).toBe(true);
  expect(keep(T0 + 3, aRisk(0.2, "warning"))).toBe(true);
  expect(keep(T0 + 3 + minute - 1, aRisk(0.2, "warning"))).toBe(false);
  expect(keep(T0 + 3 + minute, aRisk(0.2, "warning"))).toBe(true);
  expect(store.write((sql) => record(sql, T0, "b", readings, aRisk(0.1)))).toBe(true);
  const samples = store.read((sql) => list(sql, "a"), []);
  expect(samples).toHaveLength(4);
  expect(samples[1]).toEqual({ at: T0 + 3, score: 0.2, level: "warning", readings });
});

it("[SI20] of two samples of one moment the worse stays", () => {
  const store = aStore();
  const keep = (score: number): boolean => store.write((sql) => record(sql, T0, "a", {}, aRisk(score)));
  expect([keep(0.3), keep(0.1), keep(0.6)]).toEqual([true, false, true]);
  expect(store.read((sql) => list(sql, "a"), [])).toMatchObject([{ score: 0.6 }]);
});

it("[SI20] after the clock jumped back, samples are kept, and not every one", () => {
  const store = aStore();
  const keep = (at: number): boolean => store.write((sql) => record(sql, at, "a", {}, aRisk(0.1)));
  expect([keep(T0), keep(T0 - day), keep(T0 - day + 1), keep(T0 - day + minute)]).toEqual([true, true, false, true]);
});

it("[SI20] lists the newest first, from a time on, up to a limit", () => {
  const store = aStore();
  fill(store, "a", [T0, T0 + 1, T0 + 2]);
  const found = (options: { since?: number; limit?: number }): number[] =>
    store.read((sql) => list(sql, "a", options), []).map((one) => one.at - T0);
  expect(found({})).toEqual([2, 1, 0]);
  expect(found({ since: T0 + 1 })).toEqual([2, 1]);
  expect(found({ limit: 1 })).toEqual([2]);
  expect(found({ limit: -5 })).toEqual([2]);
});

it("[SI21] everything for an hour, one a minute for a day, one a quarter after that, nothing beyond the retention", () => {
  const store = aStore();
  const now = T0 + 60 * day;
  const lastHour = [now - 1, now - 2, now - hour];
  const lastDay = [now - 2 * hour, now - 2 * hour + 30_000, now - 3 * hour];
  const older = [now - 2 * day, now - 2 * day + 10 * minute, now - 2 * day + 15 * minute];
  const gone = [now - 30 * day - 1, now - 40 * day];
  fill(store, "a", [...lastHour, ...lastDay, ...older, ...gone]);
  expect(store.write((sql) => thin(sql, now, limits))).toBe(4);
  expect(times(store)).toEqual([...lastHour, lastDay[1], lastDay[2], older[2], older[1]]);
  expect(store.write((sql) => thin(sql, now, limits))).toBe(0);
});

it("[SI21] the worst of each bucket stays, the newest among equals", () => {
  const store = aStore();
  const now = T0 + 10 * day;
  fill(store, "a", [
    [T0, 0.1],
    [T0 + 1, 0.7],
    [T0 + 2, 0.7],
    [T0 + 3, 0.2],
  ]);
  store.write((sql) => thin(sql, now, limits));
  expect(times(store)).toEqual([T0 + 2]);
});

const buckets = (ats: number[]): number[] =>
  [...new Set(ats.map((at) => Math.floor(at / (15 * minute))))].toSorted((a, b) => a - b);

it("[SI21] for any samples and moments of thinning the worst of all stays and each bucket has one @night", () => {
  const sample = fc.tuple(fc.integer({ min: 0, max: 3 * day }), fc.integer({ min: 0, max: 10 }));
  const unique = fc.uniqueArray(sample, { selector: ([at]) => at, minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(unique, fc.array(fc.integer({ min: 0, max: 3 * day }), { maxLength: 4 }), (samples, moments) => {
      const store = aStore();
      const scored = samples.map(([at, score]) => [T0 + at, score / 10] as const);
      fill(store, "a", scored);
      for (const moment of [...moments.toSorted((a, b) => a - b), 5 * day])
        for (let call = 0; call < 2; call++) store.write((sql) => thin(sql, T0 + moment, limits));
      const left = store.read((sql) => list(sql, "a", { limit: 1_000 }), []);
      expect(Math.max(...left.map((one) => one.score))).toBe(Math.max(...samples.map(([, score]) => score / 10)));
      expect(left.map((one) => Math.floor(one.at / (15 * minute))).toSorted((a, b) => a - b)).toEqual(
        buckets(samples.map(([at]) => T0 + at)),
      );
      store.close();
    }),
    { numRuns: 25 },
  );
});

it("[SI22] one call does a bounded part, the next continues, and in the end all is done", () => {
  const store = aStore();
  const now = T0 + 2 * day;
  const ten = Array.from({ length: 10 }, (_, number) => T0 + number);
  for (const id of ["a", "b", "c"]) fill(store, id, ten);
  const step = (): number => store.write((sql) => thin(sql, now, { ...limits, rows: 4 }));
  expect([step(), step(), step()]).toEqual([4, 4, 4]);
  expect(times(store, "a")).toHaveLength(1);
  for (let call = 0; call < 8; call++) step();
  expect(["a", "b", "c"].map((id) => times(store, id).length)).toEqual([1, 1, 1]);
});

it("[SI22] sessions are thinned in turn, so many per call", () => {
  const store = aStore();
  const now = T0 + 2 * day;
  for (const id of ["a", "b", "c"]) fill(store, id, [T0, T0 + 1]);
  const step = (): number => store.write((sql) => thin(sql, now, { ...limits, sessions: 1 }));
  expect([step(), step(), step(), step()]).toEqual([1, 1, 1, 0]);
  fill(store, "a", [T0 + 2]);
  expect([step(), step(), step(), step()].reduce((a, b) => a + b)).toBe(1);
  expect(store.write((sql) => thin(sql, now, limits))).toBe(0);
});

it("[SI22] an empty history takes no harm", () => {
  expect(aStore().write((sql) => thin(sql, T0, limits))).toBe(0);
});

it("[SI23] a death is kept once, with its cause and its last signals", () => {
  const store = aStore();
  expect(store.write((sql) => recordCrash(sql, aCrash()))).toBe(true);
  expect(store.write((sql) => recordCrash(sql, aCrash({ cause: "unknown", detail: "?" })))).toBe(false);
  expect(store.read((sql) => listCrashes(sql), [])).toEqual([aCrash()]);
});
