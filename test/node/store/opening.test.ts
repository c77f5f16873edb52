import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { claimDriver, withFixedPlan } from "#src/store/driver.ts";
import { loadDriver } from "#src/store/open-driver.ts";
import Database from "better-sqlite3";

const source = (name: string): string => pathToFileURL(join(import.meta.dirname, "../../../src/store", name)).href;

/** Runs a module in a process of its own, as only there Node can be told to load no binaries. */
function run(flags: string[], code: string): { stdout: string; stderr: string } {
  const text = `const { loadDriver } = await import("${source("open-driver.ts")}"); ${code}`;
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, "--input-type=module", "-e", text], {
    encoding: "utf8",
  });
  return { stdout, stderr };
}

const SHOW =
  "const { driver, fallbackReason } = await loadDriver(); process.stdout.write(JSON.stringify({ driver, fallbackReason }));";

it("better-sqlite3 is taken where it loads", async () => {
  expect(await loadDriver()).toMatchObject({ driver: "better-sqlite3", fallbackReason: null });
  expect(await loadDriver("node:sqlite")).toMatchObject({ driver: "node:sqlite", fallbackReason: null });
});

it("where no binary may be loaded node:sqlite is taken, with the reason, and nothing else on stdout", () => {
  const { stdout } = run(["--no-addons"], SHOW);
  expect(JSON.parse(stdout)).toEqual({
    driver: "node:sqlite",
    fallbackReason: expect.stringContaining("better-sqlite3 could not be loaded: Cannot load native addon") as string,
  });
});

it("an SQLite that may not be used at all is an error that says what to do", () => {
  const show = `await loadDriver().catch((error) => process.stdout.write(JSON.stringify({ code: error.code, message: error.message })));`;
  const { stdout } = run(["--no-addons", "--no-experimental-sqlite"], show);
  const error = JSON.parse(stdout) as { code: string; message: string };
  expect(error.code).toBe("store_unavailable");
  expect(error.message).toMatch(/nothing can be saved .*better-sqlite3.*node:sqlite.*Node 22\.16 or newer/);
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
