import Database from "better-sqlite3";
import { expect, it } from "vitest";
import { withFixedPlan } from "#src/store/driver.ts";

it("a value is bound where the planner does not see it, and no text that looks like one is changed", () => {
  const query = `SELECT '?' AS "a?", ? ->> '$.b' FROM json_each(?) WHERE value IN (?, ?) LIMIT ?`;
  expect(withFixedPlan(query)).toBe(
    `SELECT '?' AS "a?", +? ->> '$.b' FROM json_each(+?) WHERE value IN (+?, +?) LIMIT +?`,
  );
  const db = new Database(":memory:");
  const rows = db.prepare(withFixedPlan(query)).all('{"b":7}', "[1,2,3]", 3, 1, 9);
  expect(rows.map((row) => Object.values(row as object))).toEqual([
    ["?", 7],
    ["?", 7],
  ]);
  expect(db.prepare(withFixedPlan("SELECT typeof(?) AS t, ? AS v")).get("1", Buffer.from("a"))).toEqual({
    t: "text",
    v: Buffer.from("a"),
  });
  db.close();
});
