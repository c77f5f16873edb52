import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Store } from "#src/store/store.ts";
import type { Risk, RiskLevel } from "#src/contract/readings.ts";
import { record, recordCrash, type Crash } from "#src/machine/signals/history.ts";
import { listCrashes, listSamples } from "#harness/machine/crashes.ts";
import { someReadings } from "#harness/machine/readings.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
/** A whole multiple of a quarter of an hour, so that buckets begin where the tests say. */
const T0 = 1_700_000_100_000;

function aStore(): Store {
  return tempRuntime({ now: T0 }).store;
}

function aRisk(score: number, level: RiskLevel = "safe"): Risk {
  return { score, level, reasons: [] };
}

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

it("keeps a sample when it says something new", () => {
  const store = aStore();
  const readings = someReadings({ contextFill: 0.5 }, T0);
  const keep = (at: number, risk: Risk): boolean => store.write((sql) => record(sql, at, "a", readings, risk));
  expect(keep(T0, aRisk(0.1))).toBe(true);
  expect(keep(T0 + 1, aRisk(0.1))).toBe(false);
  expect(keep(T0 + 2, aRisk(0.2))).toBe(false);
  expect(keep(T0 + 3, aRisk(0.2, "warning"))).toBe(true);
  expect(keep(T0 + 3 + minute - 1, aRisk(0.2, "warning"))).toBe(false);
  expect(keep(T0 + 3 + minute, aRisk(0.2, "warning"))).toBe(true);
  expect(store.write((sql) => record(sql, T0, "b", readings, aRisk(0.1)))).toBe(true);
  const samples = store.read((sql) => listSamples(sql, "a"), []);
  expect(samples).toHaveLength(3);
  expect(samples[1]).toEqual({ at: T0 + 3, score: 0.2, level: "warning", readings });
});

it("of two samples of one moment the worse stays", () => {
  const store = aStore();
  const keep = (score: number, level: RiskLevel): boolean =>
    store.write((sql) => record(sql, T0, "a", {}, aRisk(score, level)));
  expect([keep(0.3, "warning"), keep(0.1, "safe"), keep(0.6, "danger")]).toEqual([true, false, true]);
  expect(store.read((sql) => listSamples(sql, "a"), [])).toMatchObject([{ score: 0.6 }]);
});

it("after the clock jumped back, samples are kept, and not every one", () => {
  const store = aStore();
  const keep = (at: number): boolean => store.write((sql) => record(sql, at, "a", {}, aRisk(0.1)));
  expect([keep(T0), keep(T0 - day), keep(T0 - day + 1), keep(T0 - day + minute)]).toEqual([true, true, false, true]);
});

it("of samples older than an hour the worst of each quarter of an hour stays, the newest among equals", () => {
  const sample = fc.tuple(fc.integer({ min: 1, max: 90 }), fc.integer({ min: 0, max: 10 }));
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1, maxLength: 60 }), (samples) => {
      const store = aStore();
      let now = T0;
      const kept = samples.map(([minutes, score]) => {
        now += minutes * minute;
        store.write((sql) => record(sql, now, "a", {}, aRisk(score / 10)));
        return { at: now, score: score / 10 };
      });
      const old = kept.filter(({ at }) => at < now - hour).toReversed();
      const worst = Object.values(Object.groupBy(old, ({ at }) => Math.floor(at / (15 * minute)))).map((bucket) =>
        bucket?.reduce((most, one) => (one.score > most.score ? one : most)),
      );
      const expected = [
        ...worst.map((one) => one?.at ?? 0),
        ...kept.map(({ at }) => at).filter((at) => at >= now - hour),
      ];
      const left = store.read((sql) => listSamples(sql, "a"), []).map(({ at }) => at);
      expect(left.toReversed()).toEqual(expected.toSorted((a, b) => a - b));
      store.close();
    }),
    { numRuns: 25 },
  );
});

it("a death is kept once, with its cause and its last signals", () => {
  const store = aStore();
  expect(store.write((sql) => recordCrash(sql, aCrash()))).toBe(true);
  expect(store.write((sql) => recordCrash(sql, aCrash({ cause: "unknown", detail: "?" })))).toBe(false);
  expect(store.read((sql) => listCrashes(sql), [])).toEqual([aCrash()]);
});
