import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, onTestFinished } from "vitest";
import type { Migration } from "#src/shared/migrate.ts";
import type { Sql } from "#src/shared/sql.ts";
import { migrations } from "#src/store/store.ts";
import { driver, refusal, openStore, tempStore } from "#harness/store/store-test.ts";
import { it } from "#harness/store/store-fixtures.ts";
import { spawnSync } from "node:child_process";
import { claimDriver, withFixedPlan } from "#src/store/driver.ts";
import { loadDriver } from "#src/store/open-driver.ts";
import Database from "better-sqlite3";

it("reading makes nothing on the disk and answers the empty value", ({ store, paths }) => {
  expect(store.read(count, -1)).toBe(-1);
  expect(existsSync(paths.home)).toBe(false);
  expect(store.driver).toBe(null);
});

it("reading an older schema migrates it, with a backup, and has its rows; old processes go on", ({ store, paths }) => {
  store.write(addSetting("a"));
  const newer = openStore(driver, paths, { migrations: [...migrations, step()] });
  expect(newer.read(count, -1)).toBe(1);
  expect(store.read(schemaVersion, -1)).toBe(migrations.length + 1);
  const [backup = "", ...others] = readdirSync(paths.backups);
  expect(others).toEqual([]);
  const old = driver({ path: join(paths.backups, backup), readOnly: true, busyMs: 0 });
  expect([count(old), schemaVersion(old)]).toEqual([1, migrations.length]);
  old.close();
  newer.write(addSetting("b"));
  store.write(addSetting("c"));
  expect(store.read(count, -1)).toBe(3);
});

it("folder and files are for their user alone, whatever the umask, and again after a copy was put back for all to read", () => {
  const umask = process.umask(0);
  onTestFinished(() => void process.umask(umask));
  const { store, paths } = tempStore(driver);
  store.write(addSetting("a"));
  expect(modeOf(paths.home)).toBe(0o700);
  const files = readdirSync(paths.home);
  expect(files).toEqual(expect.arrayContaining(["shim.db", "shim.db-wal", "shim.db-shm", "maintenance.db"]));
  for (const file of files) expect([file, modeOf(`${paths.home}/${file}`)]).toEqual([file, 0o600]);
  store.close();
  chmodSync(paths.database, 0o644);
  store.write(addSetting("b"));
  expect([modeOf(paths.database), modeOf(`${paths.database}-wal`)]).toEqual([0o600, 0o600]);
});

it("a file that asks for a newer program is refused and not changed", ({ store, paths }) => {
  const newer = openStore(driver, paths, { migrations: [...migrations, step({ minReader: migrations.length + 1 })] });
  newer.write(addSetting("a"));
  const error = refusal(() => store.write(addSetting("b")));
  expect(error.code).toBe("store_newer");
  expect(error.message).toContain("Update this shim");
  expect(refusal(() => store.read(count, -1)).code).toBe("store_newer");
  expect(newer.read(count, -1)).toBe(1);
});

it("a write is one transaction: what throws leaves nothing", ({ store }) => {
  store.write(addSetting("a"));
  const broken = (sql: Sql): never => {
    addSetting("b")(sql);
    throw new Error("half-way");
  };
  expect(() => store.write(broken)).toThrow("half-way");
  expect(store.read(count, -1)).toBe(1);
  store.write(addSetting("b"));
  expect(store.read(count, -1)).toBe(2);
});

it("commits are synchronous on the disk, in WAL", ({ store }) => {
  store.write(addSetting("a"));
  const connection = store.connection();
  expect(connection.all("PRAGMA journal_mode")).toMatchObject([{ journal_mode: "wal" }]);
  expect(connection.all("PRAGMA synchronous")).toMatchObject([{ synchronous: 2 }]);
  expect(store.driver).toBe(connection.driver);
});

it("a writer that waits longer than it may gets a clear, retryable error", ({ store, paths }) => {
  store.write(addSetting("a"));
  const other = openStore(driver, paths, { busyMs: 20 });
  const error = store.write(() => refusal(() => other.write(addSetting("b"))));
  expect(error).toMatchObject({ code: "store_locked", retryable: true });
  expect(error.message).toContain("try again");
  other.write(addSetting("b"));
  expect(store.read(count, -1)).toBe(2);
});

it("where the lock of the upkeep cannot be opened, the error names it and not the store", ({ store, paths }) => {
  mkdirSync(`${paths.home}/maintenance.db`, { recursive: true });
  const { code, message } = refusal(() => store.write(() => null));
  expect(code).toBe("store_unavailable");
  expect(message).toContain("/maintenance.db: the file cannot be");
});

it("a file that cannot be reached is a clear error", ({ store, paths }) => {
  mkdirSync(dirname(paths.home), { recursive: true });
  writeFileSync(paths.home, "a file where the folder should be");
  const error = refusal(() => store.write(addSetting("a")));
  expect(error.code).toBe("store_unavailable");
  expect(error.message).toMatch(/Nothing was half-written/);
});

it("a copy is whole and private while a writer works", async ({ store, paths }) => {
  for (let n = 0; n < 300; n++) store.write(addSetting(`key ${n} ${"x".repeat(2_000)}`));
  const copy = `${paths.home}/copy.db`;
  const done = store.backup(copy);
  store.write(addSetting("meanwhile"));
  const copying = { isDone: false };
  void done.then(() => (copying.isDone = true));
  for (let n = 0; !copying.isDone; n++) {
    store.write(addSetting(`meanwhile ${n}`));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await done;
  expect(modeOf(copy)).toBe(0o600);
  const connection = driver({ path: copy, readOnly: true, busyMs: 0 });
  expect(count(connection)).toBeGreaterThanOrEqual(300);
  connection.close();
});

function addSetting(key: string): (sql: Sql) => void {
  return (sql) => void sql.run("INSERT INTO meta (key, value) VALUES (?, 'x')", key);
}

const count = (sql: Sql): number =>
  sql.all<{ n: number }>("SELECT count(*) AS n FROM meta WHERE value = 'x'")[0]?.n ?? -1;

const schemaVersion = (sql: Sql): number => sql.all<{ n: number }>("SELECT max(id) AS n FROM migrations")[0]?.n ?? -1;

function step(overrides: Partial<Migration> = {}): Migration {
  return { id: migrations.length + 1, name: "test", statements: ["CREATE TABLE extra (a TEXT)"], ...overrides };
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;

const source = import.meta.resolve("#src/store/open-driver.ts");

/** Runs a module in a process of its own, as only there Node can be told to load no binaries. @returns what it prints, as JSON */
function run(flags: string[], code: string): unknown {
  const text = `const { loadDriver } = await import("${source}");
    const print = (facts) => process.stdout.write(JSON.stringify(facts));
    ${code}`;
  const args = [...flags, "--input-type=module", "-e", text];
  return JSON.parse(spawnSync(process.execPath, args, { encoding: "utf8" }).stdout);
}

it("better-sqlite3 is taken where it loads, else node:sqlite with the reason, and nothing else is on stdout", async () => {
  expect(await loadDriver()).toMatchObject({ driver: "better-sqlite3", fallbackReason: null });
  expect(await loadDriver("node:sqlite")).toMatchObject({ driver: "node:sqlite", fallbackReason: null });
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
  const both = ["better-sqlite3", "node:sqlite"] as const;
  const [own, other] = process.env["SHIM_TEST_SQLITE"] === "node:sqlite" ? both.toReversed() : both;
  claimDriver(own);
  claimDriver(own);
  expect(() => claimDriver(other)).toThrow(`already uses ${own}`);
});

it("a value is bound where the planner does not see it, and no text that looks like one is changed", () => {
  const query = `SELECT '?' AS "a?", ? ->> '$.b' FROM json_each(?) WHERE value IN (?, ?) LIMIT ?`;
  const fixed = `SELECT '?' AS "a?", +? ->> '$.b' FROM json_each(+?) WHERE value IN (+?, +?) LIMIT +?`;
  expect(withFixedPlan(query)).toBe(fixed);
  const db = new Database(":memory:");
  const rows = db.prepare(withFixedPlan(query)).all('{"b":7}', "[1,2,3]", 3, 1, 9);
  const row = ["?", 7];
  expect(rows.map((one) => Object.values(one as object))).toEqual([row, row]);
  const typed = db.prepare(withFixedPlan("SELECT typeof(?) AS t, ? AS v")).get("1", Buffer.from("a"));
  expect(typed).toEqual({ t: "text", v: Buffer.from("a") });
  db.close();
});
