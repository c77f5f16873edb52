import * as fc from "fast-check";
import { expect, it } from "vitest";
import { nextTime } from "#src/coordination/schedules/schedule-rows.ts";

const minute = 60_000;
const day = 86_400_000;

function timesBetween(cron: string, timeZone: string, start: number, end: number): number[] {
  const times: number[] = [];
  for (let at = start - 1; ;) {
    const next = nextTime({ cron, timeZone }, at);
    if (next === null || next >= end) return times;
    times.push(next);
    at = next;
  }
}

function shown(times: readonly number[]): string[] {
  return times.map((at) => new Date(at).toISOString().slice(5, 16));
}

/** The wall clock of a zone, whose minutes are counted as if they were those of UTC. */
const clocks = new Map<string, Intl.DateTimeFormat>();
function wallMinute(timeZone: string, at: number): number {
  const format =
    clocks.get(timeZone) ?? new Intl.DateTimeFormat("sv", { timeZone, dateStyle: "short", timeStyle: "short" });
  clocks.set(timeZone, format);
  return Date.parse(`${format.format(at).replace(" ", "T")}Z`);
}

interface Field {
  readonly text: string;
  readonly has: (value: number) => boolean;
}

type Expression = Readonly<Record<"minute" | "hour" | "days" | "weekdays", Field>>;

const any: Field = { text: "*", has: () => true };
const numbers = (min: number, max: number): fc.Arbitrary<Field> =>
  fc
    .uniqueArray(fc.integer({ min, max }), { minLength: 1, maxLength: 3 })
    .map((all) => ({ text: all.join(","), has: (value) => all.includes(value) }));
const range = (min: number, max: number): fc.Arbitrary<Field> =>
  fc
    .tuple(fc.integer({ min, max }), fc.integer({ min, max }))
    .map((ends) => ends.toSorted((a, b) => a - b))
    .map(([from = 0, to = 0]) => ({ text: `${from}-${to}`, has: (value) => value >= from && value <= to }));
const steps = (max: number): fc.Arbitrary<Field> =>
  fc.integer({ min: 2, max }).map((by) => ({ text: `*/${by}`, has: (value) => value % by === 0 }));

const expression: fc.Arbitrary<Expression> = fc.record({
  minute: fc.oneof(numbers(0, 59), numbers(0, 59), range(0, 59), steps(30), fc.constant(any)),
  hour: fc.oneof(numbers(0, 4), numbers(0, 23), range(0, 23), steps(12), fc.constant(any)),
  days: fc.oneof({ weight: 4, arbitrary: fc.constant(any) }, range(1, 31)),
  weekdays: fc.oneof({ weight: 4, arbitrary: fc.constant(any) }, numbers(0, 6)),
});

function matches({ minute, hour, days, weekdays }: Expression, wall: number): boolean {
  const date = new Date(wall);
  const [isDay, isWeekday] = [days.has(date.getUTCDate()), weekdays.has(date.getUTCDay())];
  // As in every cron: of two fields that name days one is enough.
  const isRight = days === any || weekdays === any ? isDay && isWeekday : isDay || isWeekday;
  return isRight && hour.has(date.getUTCHours()) && minute.has(date.getUTCMinutes());
}

function minutesBetween(before: number, now: number): number[] {
  return Array.from({ length: Math.max(0, (now - before) / minute - 1) }, (_, at) => before + (at + 1) * minute);
}

/** Independent of the library: minute by minute. */
function modelTimes(expression: Expression, start: number, wall: readonly number[]): number[] {
  const isFixed = ![expression.minute, expression.hour].some(({ text }) => text.includes("*"));
  const seen = new Set<number>();
  return wall.flatMap((now, index) => {
    const isAgain = seen.has(now);
    seen.add(now);
    if (matches(expression, now)) return isFixed && isAgain ? [] : [start + index * minute];
    const skipped = isFixed ? minutesBetween(wall[index - 1] ?? now, now) : [];
    const isTime = skipped.some((one) => Math.floor(one / day) === Math.floor(now / day) && matches(expression, one));
    return isTime ? [start + index * minute] : [];
  });
}

const zones = (
  "Europe/Berlin America/New_York America/St_Johns America/Havana America/Sao_Paulo Africa/Cairo Africa/Casablanca " +
  "Australia/Lord_Howe Pacific/Chatham Pacific/Apia Antarctica/Troll Asia/Kathmandu UTC"
).split(" ");

const offsetOf = (zone: string, at: number): number => wallMinute(zone, at) - at;

/** Days of a year on which the zone's clock is changed, or its first of June. */
function changesOf(zone: string, year: number): number[] {
  const first = Date.UTC(year, 0, 2);
  const days = Array.from({ length: 362 }, (_, at) => first + at * day);
  const changed = days.filter((at) => offsetOf(zone, at) !== offsetOf(zone, at + day));
  return changed.length === 0 ? [Date.UTC(year, 5, 1)] : changed;
}

const windows = new Map<number, readonly number[]>();
function wallOf(zone: string, start: number): readonly number[] {
  const key = start + zones.indexOf(zone);
  const wall = windows.get(key) ?? Array.from({ length: 4 * 1_440 }, (_, at) => wallMinute(zone, start + at * minute));
  windows.set(key, wall);
  return wall;
}

const window = fc
  .record({ zone: fc.constantFrom(...zones), year: fc.integer({ min: 2009, max: 2030 }), pick: fc.nat() })
  .map(({ zone, year, pick }) => {
    const changes = changesOf(zone, year);
    return { zone, start: (changes[pick % changes.length] ?? 0) - day };
  });

it("the times are those of a scan of the wall clock, minute by minute, across its changes @night", () => {
  const after = fc.integer({ min: 0, max: 3 * day });
  fc.assert(
    fc.property(window, expression, after, ({ zone, start }, fields, ms) => {
      const cron = [fields.minute, fields.hour, fields.days, any, fields.weekdays].map(({ text }) => text).join(" ");
      const wall = wallOf(zone, start);
      const expected = modelTimes(fields, start, wall);
      const end = start + wall.length * minute;
      expect([cron, zone, shown(timesBetween(cron, zone, start, end))]).toEqual([cron, zone, shown(expected)]);
      const next = expected.find((at) => at > start + ms);
      if (next !== undefined) expect(nextTime({ cron, timeZone: zone }, start + ms)).toBe(next);
    }),
    { numRuns: 150 },
  );
});

const spring = { start: Date.UTC(2026, 2, 28, 12), end: Date.UTC(2026, 2, 29, 12) };
const autumn = { start: Date.UTC(2026, 9, 24, 12), end: Date.UTC(2026, 9, 25, 12) };

it.each([
  ["30 2 * * *", spring, ["03-29T01:00"]],
  ["15 0-3 * * *", spring, ["03-28T23:15", "03-29T00:15", "03-29T01:00", "03-29T01:15"]],
  ["30 1-3 * * *", autumn, ["10-24T23:30", "10-25T00:30", "10-25T02:30"]],
])("%s in Berlin: fixed times are neither lost nor doubled", (cron, { start, end }, expected) => {
  expect(shown(timesBetween(cron, "Europe/Berlin", start, end))).toEqual(expected);
});

it.each([
  ["30 * * * *", spring, 24],
  ["30 * * * *", autumn, 24],
  ["*/20 2 * * *", spring, 0],
  ["*/20 2 * * *", autumn, 6],
])("%s in Berlin: intervals run through a changed clock", (cron, { start, end }, count) => {
  expect(timesBetween(cron, "Europe/Berlin", start, end)).toHaveLength(count);
});
