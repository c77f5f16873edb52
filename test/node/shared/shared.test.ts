import * as fc from "fast-check";
import { expect, it, vi } from "vitest";
import { forAll, forAllAsync } from "#harness/properties.ts";
import { uuidv4, uuidv7 } from "#src/shared/ids.ts";
import { oneAfterAnother, oneAtATime } from "#src/shared/async-work.ts";
import type { Sql } from "#src/shared/sql.ts";
import { blob, flag, integer, json, real, serial, table, text } from "#src/shared/table.ts";
import { inMemory } from "#src/store/driver.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { definitionOf, metrics, modelFamily, type MetricName, type Sample } from "#src/contract/metrics.ts";
import { ChatStatus } from "#src/contract/chats.ts";
import { AttemptEnd, DeathReason, TaskState } from "#src/contract/tasks.ts";
import { toExposition } from "#src/shared/exposition.ts";

const visits = table("visits", {
  place: text().primary(),
  day: integer().primary(),
  guests: json<readonly string[]>(),
  isPaid: flag(),
  note: text().nullable(),
  weather: json<{ readonly sky: string }>().nullable(),
  price: real().default(1.5),
  host: text<"anna" | "o'neil">().default("o'neil"),
  order: blob().nullable(),
});
const letters = table("letters", { number: serial({ isReused: false }), body: text() });

const notes = table("notes", {
  name: text().primary(),
  tags: json<readonly string[] | string>(),
  isRead: flag(),
  color: text().nullable(),
});

function open(): Sql {
  const sql = openBetterSqlite3({ path: inMemory, readOnly: false, busyMs: 0 });
  for (const { ddl } of [visits, letters, notes]) sql.run(ddl);
  return sql;
}

const visit = { place: "lake", day: 1, guests: ["b", "a"], isPaid: true } as const;
const stored = { ...visit, note: null, weather: null, price: 1.5, host: "o'neil", order: null };

it("a row is read as it was written: flags, JSON, bytes, nulls and defaults", () => {
  const sql = open();
  expect(visits.insert(sql, visit)).toBe(1);
  const full = { ...visit, day: 2, isPaid: false, note: "n", weather: { sky: "grey" }, order: new Uint8Array([1, 2]) };
  expect(visits.insertReturning(sql, full)).toMatchObject({ ...full, order: Buffer.from([1, 2]) });
  expect(visits.select(sql, "ORDER BY day LIMIT ?", 1)).toEqual([stored]);
  expect(visits.find(sql, { day: 2, weather: { sky: "grey" } })).toMatchObject({ host: "o'neil", isPaid: false });
  const picked = visits.pick("isPaid", "guests").find(sql, { place: "lake", day: 1 });
  expect(picked).toEqual({ isPaid: true, guests: ["b", "a"] });
  expect(visits.without("guests", "order").select(sql, "WHERE day = 1")[0]).not.toHaveProperty("guests");
});

it("a condition of equal values finds nulls, and what is undefined is no condition", () => {
  const sql = open();
  visits.insert(sql, visit);
  visits.insert(sql, { ...visit, day: 2, note: "n" });
  expect(visits.count(sql)).toBe(2);
  expect([null, "n", "o"].map((note) => visits.count(sql, { note }))).toEqual([1, 1, 0]);
  expect(visits.count(sql, { place: "lake", note: undefined })).toBe(2);
  expect([visits.has(sql, { isPaid: true }), visits.has(sql, { isPaid: false })]).toEqual([true, false]);
  expect(visits.find(sql, { place: "sea" })).toBeNull();
});

it("an update changes what it names", () => {
  const sql = open();
  for (const day of [1, 2, 3]) visits.insert(sql, { ...visit, day });
  expect(visits.update(sql, { place: "lake", day: 2 }, { note: "x", isPaid: false, price: undefined })).toBe(1);
  expect(visits.update(sql, { note: "y" }, { price: 2 })).toBe(0);
  expect(visits.find(sql, { day: 2 })).toEqual({ ...stored, day: 2, note: "x", isPaid: false });
  expect([visits.delete(sql, { note: null, isPaid: true }), visits.count(sql)]).toEqual([2, 1]);
});

it("put replaces the row of the key with all of the new one, defaults too", () => {
  const sql = open();
  visits.put(sql, { ...visit, note: "first", price: 9 });
  const guest = { ...visit, guests: [], mood: "no column" };
  visits.put(sql, guest);
  expect(visits.select(sql, "")).toEqual([{ ...stored, guests: [] }]);
});

it("many rows are updated by their key at once, each with its own values and those of all", () => {
  const sql = open();
  notes.insertAll(
    sql,
    ["a", "b", "c"].map((name) => ({ name, tags: [], isRead: false })),
  );
  const changes = [
    { name: "a", tags: "x", color: "red" },
    { name: "c", tags: [], color: null },
  ];
  notes.updateAll(sql, changes, { isRead: true });
  const b = { name: "b", tags: [], isRead: false, color: null };
  expect(notes.select(sql, "ORDER BY name")).toEqual([
    { ...changes[0], isRead: true },
    b,
    { ...changes[1], isRead: true },
  ]);
});

it("many rows whose texts are long together are inserted with several statements, and a field that only some have is null", () => {
  const sql = open();
  const run = vi.spyOn(sql, "run");
  const long = "x".repeat(250_000);
  const plain = { tags: [long], isRead: true };
  const rows = [
    { name: "a", ...plain, color: "red" },
    { name: "b", ...plain },
    { name: "c", ...plain, tags: ["y", long] },
  ];
  notes.insertAll(sql, rows);
  expect(run.mock.calls.map((call) => String(call.at(-1)).length < 600_000)).toEqual([true, true]);
  expect(notes.select(sql, "ORDER BY name")).toEqual(rows.map((one) => Object.assign({ color: null }, one)));
});

it("many rows that have other fields each are inserted as each of them would be alone", () => {
  const fields = fc.record(
    { note: fc.constantFrom("a", "b"), weather: fc.constant({ sky: "grey" }), price: fc.constantFrom(2.5, 3.5) },
    { requiredKeys: [] },
  );
  forAll(100, [fc.array(fields, { maxLength: 5 })], (drawn) => {
    const [many, single] = [open(), open()];
    const rows = drawn.map((one, day) => Object.assign({}, one, visit, { day }));
    visits.insertAll(many, rows);
    for (const row of rows) visits.insert(single, row);
    expect(visits.select(many, "")).toEqual(visits.select(single, ""));
  });
});

it("numbers are given by the table, and not again where that is declared", () => {
  const sql = open();
  expect([letters.append(sql, { body: "a" }), letters.append(sql, { body: "b" })]).toEqual([1, 2]);
  letters.delete(sql, { number: 2 });
  expect(letters.append(sql, { body: "c" })).toBe(3);
});

it("a conflict is answered as the statement says, and a row of a join is decoded", () => {
  const sql = open();
  visits.insert(sql, visit);
  expect(visits.insert(sql, { ...visit, note: "later" }, "ON CONFLICT DO NOTHING")).toBe(0);
  expect(visits.insertReturning(sql, visit, "ON CONFLICT DO NOTHING")).toBeNull();
  expect(() => visits.insert(sql, visit)).toThrow("UNIQUE");
  letters.append(sql, { body: "lake" });
  const joined = sql.all<typeof visits.row & { readonly number: number }>(
    `SELECT l.number, ${visits.columns("v")} FROM visits v JOIN letters l ON l.body = v.place`,
  );
  expect(visits.decode(joined)).toEqual([{ ...stored, number: 1 }]);
});

const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
const form = (version: number) =>
  new RegExp(`^[\\da-f]{8}-[\\da-f]{4}-${version}[\\da-f]{3}-[89ab][\\da-f]{3}-[\\da-f]{12}$`);

it("an id is a UUIDv7 (RFC 9562), and sorts by its time; a program that knows none gets a UUIDv4", () => {
  // The example of RFC 9562, appendix A.6.
  const random = Uint8Array.from([0, 0, 0, 0, 0, 0, 0xcc, 0x3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f]);
  expect(uuidv7(0x017f22e279b0, random)).toBe("017f22e2-79b0-7c03-98c4-dc0c0c07398f");
  forAll(100, [fc.nat({ max: 2 ** 48 - 2 }), bytes, bytes], (now, one, two) => {
    const before = [...one];
    expect(uuidv7(now, one) < uuidv7(now + 1, two)).toBe(true);
    expect([...one]).toEqual(before);
    expect(uuidv7(now, one)).toMatch(form(7));
    expect(uuidv4(one)).toMatch(form(4));
  });
});

/** Work whose runs end when the test says so. */
function aWork() {
  const ends: ((outcome: string) => void)[] = [];
  const work = (): Promise<string> => new Promise((resolve) => void ends.push(resolve));
  return { work, ends };
}

it("a call during a run gets its outcome; a later one runs again, also after a run that failed", async () => {
  const { work, ends } = aWork();
  const run = oneAtATime(work);
  const both = [run(), run()];
  ends[0]?.("first");
  expect([await both[0], await both[1], ends.length]).toEqual(["first", "first", 1]);
  const next = run();
  ends[1]?.("second");
  expect(await next).toBe("second");
  let runs = 0;
  const failing = oneAtATime(() => ((runs += 1), Promise.reject(new Error("no"))));
  for (let times = 0; times < 2; times++) await expect(failing()).rejects.toThrow("no");
  expect(runs).toBe(2);
});

it("calls during a run lead to one more, whose outcome all of them get, unless the outcome ends it", async () => {
  const { work, ends } = aWork();
  const run = oneAfterAnother(work, (outcome) => outcome === "over");
  const all = [run(), run(), run()];
  ends[0]?.("first");
  await new Promise(setImmediate);
  ends[1]?.("second");
  expect([await Promise.all(all), ends.length]).toEqual([["second", "second", "second"], 2]);
  const last = [run(), run()];
  ends[2]?.("over");
  expect([await Promise.all(last), ends.length]).toEqual([["over", "over"], 3]);
});

const names = Object.keys(metrics) as MetricName[];

/** Values of each series in Prometheus text. */
const parse = (text: string): Map<string, number> =>
  new Map([...text.matchAll(/^([^#\n].*) (\S+)$/gm)].map(([, series = "", value]) => [series, Number(value)]));

const labels = (name: MetricName): readonly string[] => Object.values(definitionOf(name).labels)[0] ?? [];

it("the declared labels hold all values of the types they show", () => {
  expect([labels("shim_chats"), labels("shim_dead_tasks")]).toEqual([ChatStatus.options, DeathReason.options]);
  expect(["done", ...labels("shim_task_attempts_total")].toSorted()).toEqual(AttemptEnd.options.toSorted());
  const states = [...labels("shim_tasks").filter((state) => state !== "ended"), "done", "cancelled"];
  expect(states.toSorted()).toEqual(TaskState.options.toSorted());
});

it("whatever a label holds, the text has only declared values and loses nothing", async () => {
  const label = fc.oneof(fc.string(), fc.constantFrom("killed", "claude-code", "busy", "done", 'a"b', "c\nd"));
  const sample = fc.record({
    name: fc.constantFrom(...names.filter((name) => definitionOf(name).type !== "histogram")),
    value: fc.nat(1_000),
    labels: fc.dictionary(fc.constantFrom("cause", "client", "activity", "state", "kind", "id"), label),
  });
  await forAllAsync(100, [fc.array(sample, { maxLength: 30 })], async (samples) => {
    const series = parse(await toExposition(samples));
    for (const name of new Set(samples.map((one) => one.name))) {
      const own = [...series].filter(([key]) => key === name || key.startsWith(`${name}{`));
      const sum = samples.filter((one) => one.name === name).reduce((all, { value }) => all + value, 0);
      expect(own.reduce((all, [, value]) => all + value, 0)).toBe(sum);
      const declared = definitionOf(name).labels;
      for (const [key] of own)
        for (const [, found = "", value = ""] of key.matchAll(/(\w+)="([^"]*)"/g))
          expect([...(declared[found] ?? []), "other"]).toContain(value);
    }
  });
});

it("the buckets of a histogram rise to its count, and its sum is that of the observations", async () => {
  const bucket = { name: "shim_save_duration_seconds", labels: {} } as const;
  const buckets: Sample[] = [
    { ...bucket, bucket: 0.005, value: 3, sum: 0.01 },
    { ...bucket, bucket: 0.1, value: 1, sum: 0.09 },
    { ...bucket, bucket: null, value: 2, sum: 20 },
  ];
  const series = parse(await toExposition(buckets));
  const upTo = (bound: string) => series.get(`shim_save_duration_seconds_bucket{le="${bound}"}`);
  expect(["0.0025", "0.005", "0.05", "0.1", "5", "+Inf"].map(upTo)).toEqual([0, 3, 3, 4, 4, 6]);
  expect(series.get("shim_save_duration_seconds_count")).toBe(6);
  expect(series.get("shim_save_duration_seconds_sum")).toBeCloseTo(20.1);
});

it("a model becomes its family, and an unknown one other", () => {
  const models = ["claude-opus-5-5", "claude-sonnet-5", "gpt-6-codex", "llama-9", ""];
  expect(models.map(modelFamily)).toEqual(["opus", "sonnet", "gpt", "other", "other"]);
});
