import { expect, it } from "vitest";
import type { Sql } from "#src/shared/sql.ts";
import { blob, flag, integer, json, real, serial, table, text } from "#src/shared/table.ts";
import { inMemory } from "#src/store/driver.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";

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

function open(): Sql {
  const sql = openBetterSqlite3({ path: inMemory, readOnly: false, busyMs: 0 });
  for (const { ddl } of [visits, letters]) sql.run(ddl);
  return sql;
}

const visit = { place: "lake", day: 1, guests: ["b", "a"], isPaid: true } as const;
const stored = { ...visit, note: null, weather: null, price: 1.5, host: "o'neil", order: null };

it("the columns of a declared table have its names, types, key and defaults", () => {
  const sql = open();
  const columns = sql.all(
    "SELECT name, type, \"notnull\" AS isNeeded, dflt_value AS usual, pk FROM pragma_table_info('visits')",
  );
  expect(columns).toEqual([
    { name: "place", type: "TEXT", isNeeded: 1, usual: null, pk: 1 },
    { name: "day", type: "INTEGER", isNeeded: 1, usual: null, pk: 2 },
    { name: "guests", type: "TEXT", isNeeded: 1, usual: null, pk: 0 },
    { name: "isPaid", type: "INTEGER", isNeeded: 1, usual: null, pk: 0 },
    { name: "note", type: "TEXT", isNeeded: 0, usual: null, pk: 0 },
    { name: "weather", type: "TEXT", isNeeded: 0, usual: null, pk: 0 },
    { name: "price", type: "REAL", isNeeded: 1, usual: "1.5", pk: 0 },
    { name: "host", type: "TEXT", isNeeded: 1, usual: "'o''neil'", pk: 0 },
    { name: "order", type: "BLOB", isNeeded: 0, usual: null, pk: 0 },
  ]);
});

it("a row is read as it was written: flags, JSON, bytes, nulls and defaults", () => {
  const sql = open();
  expect(visits.insert(sql, visit)).toBe(1);
  const full = { ...visit, day: 2, isPaid: false, note: "n", weather: { sky: "grey" }, order: new Uint8Array([1, 2]) };
  expect(visits.insertReturning(sql, full)).toMatchObject({ ...full, order: Buffer.from([1, 2]) });
  expect(visits.select(sql, "ORDER BY day LIMIT ?", 1)).toEqual([stored]);
  expect(visits.find(sql, { day: 2, weather: { sky: "grey" } })).toMatchObject({ host: "o'neil", isPaid: false });
  expect(visits.pick("isPaid", "guests").find(sql, { place: "lake", day: 1 })).toEqual({
    isPaid: true,
    guests: ["b", "a"],
  });
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

it("an update changes what it names, and tells how many rows it changed", () => {
  const sql = open();
  for (const day of [1, 2, 3]) visits.insert(sql, { ...visit, day });
  expect(visits.update(sql, { place: "lake", day: 2 }, { note: "x", isPaid: false, price: undefined })).toBe(1);
  expect(visits.update(sql, { note: "y" }, { price: 2 })).toBe(0);
  expect(visits.find(sql, { day: 2 })).toEqual({ ...stored, day: 2, note: "x", isPaid: false });
  expect(visits.update(sql, { note: "x" }, { note: null })).toBe(1);
  expect(visits.delete(sql, { note: null, isPaid: true })).toBe(2);
  expect(visits.count(sql)).toBe(1);
});

it("put replaces the row of the key with all of the new one, defaults too", () => {
  const sql = open();
  visits.put(sql, { ...visit, note: "first", price: 9 });
  visits.put(sql, { ...visit, guests: [] });
  expect(visits.select(sql, "")).toEqual([{ ...stored, guests: [] }]);
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

it("fields that are no columns are not stored", () => {
  const sql = open();
  const guest = { ...visit, mood: "good" };
  visits.insert(sql, guest);
  expect(visits.select(sql, "")).toEqual([stored]);
});
