import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { claimDriver, withFixedPlan } from "#src/store/driver.ts";
import { loadDriver } from "#src/store/open-driver.ts";
import Database from "better-sqlite3";

const source = import.meta.resolve("#src/store/open-driver.ts");

/** Runs a module in a process of its own, as only there Node can be told to load no binaries. @returns what it prints, as JSON */
function run(flags: string[], code: string): unknown {
  const text = `const { loadDriver } = await import("${source}");
    const print = (facts) => process.stdout.write(JSON.stringify(facts));
    ${code}`;
  const args = [...flags, "--input-type=module", "-e", text];
  return JSON.parse(spawnSync(process.execPath, args, { encoding: "utf8" }).stdout);
}

it("better-sqlite3 is taken where it loads", async () => {
  expect(await loadDriver()).toMatchObject({ driver: "better-sqlite3", fallbackReason: null });
  expect(await loadDriver("node:sqlite")).toMatchObject({ driver: "node:sqlite", fallbackReason: null });
});

it("where no binary may be loaded node:sqlite is taken, with the reason, and nothing else on stdout", () => {
  const code = "const { driver, fallbackReason } = await loadDriver(); print({ driver, fallbackReason });";
  const why = "better-sqlite3 could not be loaded: Cannot load native addon";
  const fallbackReason = expect.stringContaining(why) as string;
  expect(run(["--no-addons"], code)).toEqual({ driver: "node:sqlite", fallbackReason });
});

it("an SQLite that may not be used at all is an error that says what to do", () => {
  const code = "await loadDriver().catch(({ code, message }) => print({ code, message }));";
  const why = /nothing can be saved .*better-sqlite3.*node:sqlite.*Node 22\.16 or newer/;
  const error = { code: "store_unavailable", message: expect.stringMatching(why) as string };
  expect(run(["--no-addons", "--no-experimental-sqlite"], code)).toEqual(error);
});

it("a process uses one SQLite build only", () => {
  claimDriver("node:sqlite");
  claimDriver("node:sqlite");
  expect(() => claimDriver("better-sqlite3")).toThrow(/already uses node:sqlite/);
});

it("a value is bound where the planner does not see it, and no text that looks like one is changed", () => {
  const query = `SELECT '?' AS "a?", ? ->> '$.b' FROM json_each(?) WHERE value IN (?, ?) LIMIT ?`;
  expect(withFixedPlan(query)).toBe(
    `SELECT '?' AS "a?", +? ->> '$.b' FROM json_each(+?) WHERE value IN (+?, +?) LIMIT +?`,
  );
  const db = new Database(":memory:");
  const rows = db.prepare(withFixedPlan(query)).all('{"b":7}', "[1,2,3]", 3, 1, 9);
  const row = ["?", 7];
  expect(rows.map((one) => Object.values(one as object))).toEqual([row, row]);
  const typed = db.prepare(withFixedPlan("SELECT typeof(?) AS t, ? AS v")).get("1", Buffer.from("a"));
  expect(typed).toEqual({ t: "text", v: Buffer.from("a") });
  db.close();
});
