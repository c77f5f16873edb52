import { closeSync, openSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { EventProcess } from "#harness/machine/programs.ts";
import { setting } from "#harness/machine/mcp-process.ts";
import type { ChildTask } from "./store-child.ts";
import { cutPower, record } from "./power-loss/power-loss.ts";
import { smallDisk } from "#harness/store/small-disk.ts";
import { refusal, column, insert, openStore, T0, tempHome } from "#harness/store/store-test.ts";
import { type Paths, pathsIn } from "#src/platform/paths.ts";
import { inodeOf } from "#src/platform/private-files.ts";
import { codeOf } from "#src/shared/error.ts";
import type { Sql } from "#src/shared/sql.ts";
import { listBackups } from "#src/store/backup.ts";
import { backUp } from "#src/store/copy-store.ts";
import { isSound } from "#src/store/database.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { epochOf } from "#src/store/meta.ts";
import * as notices from "#src/store/notices.ts";
import { setAside } from "#src/store/repair.ts";
import { migrations, type Store } from "#src/store/store.ts";
import * as spool from "#src/store/spool.ts";

class StoreChild extends EventProcess {
  get acknowledged(): string[] {
    return this.named("row").map(({ key }) => String(key));
  }

  /** Settles when that many rows are acknowledged, or the child has ended. */
  async acknowledges(count: number): Promise<void> {
    await Promise.race([this.until("row", count), this.ended]);
  }

  /** kill -9; settles when it is gone and all that it said was read. */
  async end(): Promise<void> {
    this.kill("SIGKILL");
    await this.ended;
  }
}

const driver = openBetterSqlite3;
const script = join(import.meta.dirname, "store-child.ts");
const rounds = 10;
const DRIVERS = ["better-sqlite3", "node:sqlite"] as const;

it("kill -9 at the very first write: the next process finds no store or a whole one @night", async () => {
  for (let round = 0; round < rounds; round++) {
    const paths = tempHome();
    const first = child(paths, { name: "first" });
    await pause(60 + round * 8);
    await first.end();
    const store = openStore(driver, paths);
    expectAll(store, [first]);
    store.write((sql) => addMeta(sql, "later"));
    expect(store.read(notices.list, [])).toEqual([]);
  }
});

it("the file is replaced again and again under writers: no acknowledged row is lost @night", async () => {
  const paths = tempHome();
  const children = DRIVERS.flatMap((name) =>
    // With pauses: of writers that never pause one may wait for its turn for a minute, since SQLite keeps no queue.
    [1, 2].map((n) => child(paths, { name: `${name}${n}`, driver: name, everyMs: 2 })),
  );
  await Promise.all(children.map((one) => one.acknowledges(5)));
  const store = openStore(driver, paths);
  for (let round = 1; round <= 8; round++) {
    const inode = inodeOf(paths.database);
    setAside(store.context, { inode, isCertain: true, isIndexOnly: false, message: "said by a test" });
    expect(inodeOf(paths.database)).not.toBe(inode);
    const target = children.map(({ acknowledged }) => acknowledged.length + 3);
    await Promise.all(children.map((one, n) => one.acknowledges(target[n] ?? 0)));
  }
  await Promise.all(children.map((one) => one.end()));
  expect(children.flatMap((one) => one.named("refused"))).toEqual([]);
  expectAll(store, children);
  expect(store.read(epochOf, 0)).toBe(9);
});

it("cut off, or with flipped bits, while others have it open and write: they continue in a sound file, and it is reported @night", async () => {
  for (const [name, damage] of Object.entries(damages)) {
    const paths = tempHome();
    const store = openStore(driver, paths);
    store.write((sql) => addMeta(sql, "before"));
    await backUp(store, T0, 5);
    const pair = (task: Partial<ChildTask> & { name: string }): StoreChild[] =>
      DRIVERS.map((each) => child(paths, { ...task, name: `${task.name} ${each}`, driver: each }));
    const before = pair({ name: "before", bytes: 3_000 });
    await Promise.all(before.map((one) => one.acknowledges(150)));
    damage(paths, statSync(paths.database).size);
    await found(before, store, paths);
    const after = pair({ name: "after", rows: 20 });
    await Promise.all(after.map(({ ended }) => ended));
    const target = before.map(({ acknowledged }) => acknowledged.length);
    await Promise.all(before.map((one, n) => one.acknowledges((target[n] ?? 0) + 5)));
    await Promise.all(before.map((one) => one.end()));
    const refused = [...before, ...after].flatMap((one) => one.named("refused"));
    expect(refused, name).toEqual([]);
    expectAll(store, after);
    for (const [n, one] of before.entries()) expectAll(store, [{ acknowledged: one.acknowledged.slice(target[n]) }]);
    expect(store.read((sql) => column(sql, "SELECT key FROM meta WHERE key = 'before'"), [])).toEqual(["before"]);
    // A head that is still in the log SQLite itself writes anew: nothing was lost then, and nothing is reported.
    const isHealed = damage === flipHead && !readdirSync(paths.home).includes("set-aside");
    const isReported = store.read(notices.list, []).some(({ kind }) => kind === "store_damaged");
    expect(isReported, name).toBe(!isHealed);
  }
});

it("kill -9 in the middle of a migration: the old schema and content stay, and the next try succeeds @night", async () => {
  const paths = tempHome();
  const old = openStore(driver, paths);
  old.write((sql) => addMeta(sql, "mine"));
  for (let round = 0; round < 5; round++) {
    const victim = child(paths, { name: "v", upgrade: "large" });
    await fileGrows(`${paths.database}-wal`, 1_000_000 + round * 5_000_000);
    await victim.end();
    expect(victim.acknowledged).toEqual([]);
    expect(old.read((sql) => column(sql, "SELECT max(id) FROM migrations"), [])).toEqual([migrations.length]);
    old.write((sql) => addMeta(sql, `round ${round}`));
    expect(isSound(old.connection())).toBe(true);
  }
  const upgraded = child(paths, { name: "u", upgrade: "large", rows: 1 });
  await upgraded.ended;
  expect(upgraded.acknowledged).toEqual(["u.0"]);
  old.write((sql) => addMeta(sql, "old continues"));
  expect(old.read((sql) => column(sql, "SELECT count(*) FROM large"), [])).toEqual([200_000]);
  expect(listBackups(paths.backups).length).toBeGreaterThan(0);
});

it("a full disk refuses the write, keeps what was acknowledged, and works again when there is room @night", async (test) => {
  const paths = pathsIn(join(smallDisk(test, 2), "home"));
  const store = openStore(driver, paths);
  store.write((sql) => addMeta(sql, "first"));
  const ballast = join(paths.home, "ballast");
  writeFileSync(ballast, Buffer.alloc(600_000));
  let written = 0;
  const error = refusal(() => {
    for (; written < 10_000; written++) store.write((sql) => fillRow(sql, written));
  });
  expect(error).toMatchObject({ code: "store_full", retryable: false });
  expect(error.message).toMatch(/disk is full; free some space.*Nothing was half-written/);
  expect(written).toBeGreaterThan(10);
  expect(metaRows(store)).toBe(written + 1);
  await expect(backUp(store, T0, 5)).rejects.toMatchObject({ code: "store_full" });
  expect(readdirSync(paths.backups)).toEqual([]);
  expect(() => spool.append(paths.spool, { at: T0, text: "x".repeat(2_000_000) })).toThrow(/disk is full/);
  rmSync(ballast);
  rmSync(paths.spool, { recursive: true });
  store.write((sql) => fillRow(sql, written));
  expect(metaRows(store)).toBe(written + 2);
  expect(isSound(store.connection())).toBe(true);
});

function child({ database: path }: Paths, more: Partial<ChildTask>): StoreChild {
  const task: ChildTask = { path, name: "c", driver: "better-sqlite3", forMs: 60_000, ...more };
  return new StoreChild(spawn(process.execPath, [script, JSON.stringify(task)], { stdio: ["ignore", "pipe", "pipe"] }));
}

function expectAll(store: Store, children: readonly Pick<StoreChild, "acknowledged">[]): void {
  const keys = children.flatMap(({ acknowledged }) => acknowledged);
  const stored = new Set(store.read((sql) => column(sql, "SELECT key FROM journal"), []));
  expect(keys.filter((key) => !stored.has(key))).toEqual([]);
  if (inodeOf(store.path) !== null) expect(isSound(store.connection())).toBe(true);
}

/** Settles when some process has found the damage. A writer that never reads a damaged page does not; then this process reads all. */
async function found(children: readonly StoreChild[], store: Store, paths: Paths): Promise<void> {
  const target = children.map(({ acknowledged }) => acknowledged.length + 20);
  await Promise.all(children.map((one, n) => one.acknowledges(target[n] ?? 0)));
  const isFound = (): boolean => readdirSync(paths.home).includes("set-aside");
  if (isFound()) return;
  for (const table of ["journal", "meta", "sessions"]) store.read((sql) => sql.all(`SELECT * FROM ${table}`), []);
  if (isFound()) return;
  const inode = inodeOf(paths.database);
  // Which does nothing when SQLite's own check finds the file sound.
  setAside(store.context, { inode, isCertain: false, isIndexOnly: false, message: "found by a check" });
}

/** Of a database file of so many bytes. */
const damages: Readonly<Record<string, (paths: Paths, size: number) => void>> = {
  "cut to nothing": ({ database }) => truncateSync(database, 0),
  "cut in half": ({ database }, size) => truncateSync(database, Math.floor(size / 2)),
  "bits of the head flipped": flipHead,
  "bits flipped everywhere": (paths, size) => {
    for (let at = 4_100; at < size; at += 3 * 4_096) overwrite(paths, at, 16);
  },
};

function flipHead(paths: Paths): void {
  overwrite(paths, 0, 200);
}

/** Not while this process has the file open: closing it here would drop its locks. In the middle of a swap nothing has the name. */
function overwrite({ database }: Paths, at: number, bytes: number): void {
  try {
    const file = openSync(database, "r+");
    writeSync(file, Buffer.alloc(bytes, 0xa5), 0, bytes, at);
    closeSync(file);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

async function fileGrows(path: string, bytes: number): Promise<void> {
  while ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) < bytes)
    await new Promise((resolve) => setImmediate(resolve));
}

function addMeta(sql: Sql, key: string, value = ""): void {
  insert(sql, "meta", { key, value });
}

function fillRow(sql: Sql, n: number): void {
  addMeta(sql, `row ${n}`, String(n).padEnd(4_000, "x"));
}

/** Null where there is no store. */
function metaRows(store: Store): unknown {
  return store.read((sql) => column(sql, "SELECT count(*) FROM meta WHERE key NOT LIKE 'writes:%'")[0], null);
}

/** `SHIM_POWER_CUTS=2000 SHIM_POWER_SEED=7` for a long run. */
const count = setting("SHIM_POWER_CUTS", 40);
const seed = setting("SHIM_POWER_SEED", 1);
const timeout = 240_000 + count * 1_000;

for (const name of DRIVERS)
  it(`a power cut at any moment loses nothing that was acknowledged, by ${name} @night`, { timeout }, (test) => {
    const recording = record(test, { driver: name, seed, steps: 100, hasProject: false });
    expect(cutPower(recording, { driver, seed, count })).toEqual([]);
  });

it("a power cut at any moment leaves whole snapshots @night", { timeout }, (test) => {
  const recording = record(test, { driver: "better-sqlite3", seed, steps: 40, hasProject: true });
  expect(cutPower(recording, { driver, seed, count: Math.ceil(count / 4) })).toEqual([]);
});
