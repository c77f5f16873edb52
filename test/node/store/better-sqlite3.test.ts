import Database from "better-sqlite3";
import { expect, it } from "vitest";
import { withFixedPlan } from "#src/store/driver.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { storeRules } from "../../rules/store.ts";
import { storeContentRules, textIndexRules } from "../../rules/store-contents.ts";
import { storeDamageRules } from "../../rules/store-damage.ts";
import { storeSalvageRules } from "../../rules/store-salvage.ts";
import { storeUpkeepRules } from "../../rules/store-upkeep.ts";

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

storeRules(openBetterSqlite3);
storeDamageRules(openBetterSqlite3, (path, statement) => {
  const db = new Database(path);
  db.unsafeMode(true).exec(statement);
  db.close();
});
storeContentRules(openBetterSqlite3);
storeUpkeepRules(openBetterSqlite3);
textIndexRules(openBetterSqlite3);
storeSalvageRules(openBetterSqlite3);
