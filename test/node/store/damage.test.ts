import { execFileSync } from "node:child_process";
import * as notices from "#src/store/notices.ts";
import * as fs from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect } from "vitest";
import type { Paths } from "#src/platform/paths.ts";
import { createPrivateFile, inodeOf } from "#src/platform/private-files.ts";
import type { Sql } from "#src/shared/sql.ts";
import { listBackups } from "#src/store/backup.ts";
import { backUp } from "#src/store/copy-store.ts";
import { epochOf } from "#src/store/meta.ts";
import { buildNext, withMaintenanceLock } from "#src/store/database.ts";
import type { Driver } from "#src/store/driver.ts";
import { beginRepair, finishRepair, newSetAsideFolder, setAside } from "#src/store/repair.ts";
import type { Store } from "#src/store/store.ts";
import { addCheckpoint, addJournal, addSession, breakPage, driver, refusal } from "#harness/store/store-test.ts";
import { found, openStore, searched, T0, tempStore } from "#harness/store/store-test.ts";
import { it } from "#harness/store/store-fixtures.ts";

it("a file of rubbish is set aside, the newest good backup restored and named", async ({ store, paths }) => {
  store.write((sql) => fill(sql, 3));
  await backUp(store, T0, 5);
  store.close();
  fs.writeFileSync(paths.database, "rubbish ".repeat(2_000));
  expect(found(store, "SELECT id FROM checkpoints ORDER BY seq")).toEqual(["cp0", "cp1", "cp2"]);
  const [notice] = store.read(notices.list, []);
  expect(notice).toMatchObject({ kind: "store_damaged", at: T0 });
  expect(notice?.text).toMatch(/set aside in .*newest good backup \(000001-.*\) was restored.*Nothing could be read/);
  expect(store.read(epochOf, 0)).toBe(2);
  const [folder] = fs.readdirSync(paths.setAside);
  expect(fs.readFileSync(join(paths.setAside, folder ?? "", "shim.db"), "utf8")).toContain("rubbish");
  expect(fs.statSync(join(paths.setAside, folder ?? "")).mode & 0o777).toBe(0o700);
  expect(fs.readdirSync(paths.home).filter((name) => /next|swap/.test(name))).toEqual([]);
});

it("a folder or a pipe that stands in its place is set aside, too", ({ store, paths }) => {
  for (const make of ["mkdir", "mkfifo"]) {
    store.write((sql) => addSession(sql, { id: make }));
    store.close();
    fs.rmSync(paths.database);
    execFileSync(make, [paths.database]);
    expect(found(store, "SELECT count(*) FROM sessions")).toEqual([0]);
    expect(store.read(notices.list, [])[0]?.text).toMatch(/shim\.db is no file.*Nothing could be read/);
  }
});

it("a foreign database, and one without migrations, is set aside with the rows that fit", async ({ store, paths }) => {
  store.write((sql) => fill(sql, 2));
  store.write((sql) => sql.run("DELETE FROM migrations"));
  expect(found(openStore(driver, paths), "SELECT count(*) FROM checkpoints")).toEqual([2]);
  store.close();
  await backUp(store, T0, 5);
  store.close();
  fs.rmSync(paths.database);
  new Database(paths.database).exec("CREATE TABLE sessions (a INTEGER)").close();
  expect(found(store, "SELECT count(*) FROM checkpoints")).toEqual([2]);
  expect(store.read(notices.list, []).at(-1)?.text).toContain("table sessions already exists");
});

it("damaged and unfinished backups, and those of a newer program, are skipped", async ({ store, paths }) => {
  store.write((sql) => fill(sql, 1));
  const good = await backUp(store, T0, 9);
  const newer = join(paths.backups, "000002-2023-11-15T00-00-00.000Z.db");
  fs.copyFileSync(good, newer);
  const connection = driver({ path: newer, readOnly: false, busyMs: 0 });
  connection.run("INSERT INTO migrations (id, name, minReader, appliedAt) VALUES (99, 'future', 99, 0)");
  connection.close();
  fs.writeFileSync(join(paths.backups, "000003-2023-11-16T00-00-00.000Z.db"), "rubbish ".repeat(2_000));
  fs.writeFileSync(join(paths.backups, "000004-2023-11-17T00-00-00.000Z.db"), "");
  store.close();
  fs.writeFileSync(paths.database, "rubbish ".repeat(2_000));
  expect(found(store, "SELECT id FROM checkpoints")).toEqual(["cp0"]);
  expect(store.read(notices.list, [])[0]?.text).toContain("000001-");
});

it("a file cut off to nothing is damage, not a new store, and its log is not lost", ({ store, paths }) => {
  store.write((sql) => fill(sql, 2));
  const other = openStore(driver, paths);
  other.read(epochOf, 0);
  fs.truncateSync(paths.database, 0);
  store.write((sql) => addSession(sql, { id: "after" }));
  expect(store.read(notices.list, [])).toHaveLength(1);
  expect(found(other, "SELECT id FROM sessions WHERE id = 'after'")).toEqual(["after"]);
  expect(fs.readdirSync(paths.setAside, { recursive: true }).map(String)).toContainEqual(
    expect.stringMatching(/-wal$/),
  );
});

it("whole pages of the damaged file that are newer than the backup are restored", async ({ store, paths }) => {
  store.write((sql) => fill(sql, 10));
  await backUp(store, T0, 5);
  store.write((sql) => {
    fill(sql, 200);
    addSession(sql, { id: "ses", lastSeenAt: T0 + 5, endedAt: T0 + 5 });
    sql.run("INSERT INTO meta (key, value) VALUES ('setting', 'kept')");
  });
  store.write((sql) => {
    sql.run("UPDATE checkpoints SET hash = 'wrong' WHERE id = 'cp150'");
    sql.run("UPDATE journal SET body = 'no json' WHERE key = 'k151'");
  });
  store.close();
  breakPage(driver, paths, "checkpoints", 0.8);
  expect(store.read((sql) => sql.all("SELECT * FROM checkpoints"), []).length).toBeGreaterThan(180);
  const kept = new Set(found(store, "SELECT id FROM checkpoints"));
  expect(kept.has("cp0") && kept.has("cp199")).toBe(true);
  expect(kept.has("cp150")).toBe(false);
  expect(kept.size).toBeLessThan(200);
  expect(found(store, "SELECT count(*) FROM journal")).toEqual([199]);
  expect(found(store, "SELECT ending ->> 'at' FROM sessions")).toEqual([T0 + 5]);
  expect(found(store, "SELECT value FROM meta WHERE key = 'setting'")).toEqual(["kept"]);
  const recovered = /Rows recovered from the damaged file: \d+ of checkpoints, \d+ of journal, 1 of sessions/;
  expect(store.read(notices.list, [])[0]?.text).toMatch(recovered);
  expect(store.write((sql) => searched(sql, "word199"))).toHaveLength(1);
});

it("after a loss of journal rows, new ones still come after every folded place", ({ store, paths }) => {
  store.write((sql) => {
    addSession(sql);
    addCheckpoint(sql, { journalSeq: 500 });
  });
  replaceHealthy(store, paths);
  expect(store.write((sql) => addJournal(sql))).toBeGreaterThan(500);
});

/** A store of fifty checkpoints whose search index is damaged, after which more is done to the file. */
function breakIndex(store: Store, more = ""): void {
  store.write((sql) => fill(sql, 50));
  store.write((sql) => searched(sql, "word7"));
  store.close();
  const db = new Database(store.path);
  db.unsafeMode(true).exec(`UPDATE checkpoints_text_data SET block = x'0102' WHERE id > 100; ${more}`);
  db.close();
}

it("a damaged file that seems to have an older schema is repaired, not migrated", ({ store }) => {
  breakIndex(store, "DELETE FROM migrations WHERE id = (SELECT max(id) FROM migrations)");
  expect(found(store, "SELECT count(*) FROM journal")).toEqual([50]);
  expect(store.read(notices.list, [])).toMatchObject([{ kind: "store_damaged" }]);
});

it("damage that no read has met is repaired by the next backup, before that is made", async ({ store, paths }) => {
  store.write((sql) => fill(sql, 200));
  await backUp(store, T0, 5);
  store.close();
  breakPage(driver, paths, "checkpoints", 0.8);
  expect(found(store, "SELECT count(*) FROM sessions")).toEqual([1]);
  expect(store.read(notices.list, [])).toEqual([]);
  const path = await backUp(store, T0 + 1, 5);
  expect(listBackups(paths.backups)[0]).toEqual({ path, at: T0 + 1 });
  expect(store.read(notices.list, [])).toMatchObject([{ kind: "store_damaged" }]);
  expect(found(store, "SELECT count(*) FROM checkpoints")).toEqual([200]);
});

it("a damaged search index is made anew from the rows; the file stays", ({ store, paths }) => {
  breakIndex(store);
  const inode = inodeOf(paths.database);
  const rows = found(store, "SELECT rowid FROM checkpoints_text WHERE checkpoints_text MATCH 'word7'");
  expect(rows).toHaveLength(1);
  expect(store.read(notices.list, [])).toMatchObject([{ kind: "index_rebuilt" }]);
  expect(inodeOf(paths.database)).toBe(inode);
});

it("a file that is sound after all, or that another process replaced, is left alone", ({ store, paths }) => {
  store.write((sql) => fill(sql, 1));
  const inode = inodeOf(paths.database);
  setAside(store.context, { inode, isCertain: false, isIndexOnly: false, message: "a passing fault" });
  setAside(store.context, { inode: 1n, isCertain: true, isIndexOnly: false, message: "the other's file" });
  setAside(store.context, { inode: null, isCertain: true, isIndexOnly: false, message: "gone" });
  expect(inodeOf(paths.database)).toBe(inode);
  expect(fs.existsSync(paths.setAside)).toBe(false);
});

it("a row committed while its file was replaced is stored once, and its write answers", ({ store, paths }) => {
  store.write((sql) => addSession(sql));
  const other = openStore(driver, paths);
  const runs: number[] = [];
  const answer = store.write((sql) => {
    runs.push(sql.run("INSERT INTO meta (key, value) VALUES ('once', ?)", String(runs.length)));
    if (runs.length === 1) replaceHealthy(other, paths);
    return runs.length;
  });
  expect([answer, runs.length]).toEqual([2, 2]);
  expect(found(store, "SELECT value FROM meta WHERE key = 'once'")).toEqual(["1"]);
});

/** Does by hand what a process does until it is killed. */
function dieAt(step: string, store: Store, paths: Paths): void {
  store.close();
  const { context: site } = store;
  const folder = newSetAsideFolder(site.files, T0);
  beginRepair(site.files, folder, "found by a test");
  if (step === "recorded") return;
  if (step === "renamed") {
    finishRepair(site);
    beginRepair(site.files, folder, "found by a test");
    return;
  }
  const moved = join(folder, "shim.db");
  fs.renameSync(paths.database, moved);
  if (step === "database moved") return;
  if (fs.existsSync(`${paths.database}-wal`)) fs.renameSync(`${paths.database}-wal`, `${moved}-wal`);
  if (step === "log moved") return;
  buildNext(site, null, (sql) => notices.add(sql, T0, "store_damaged", "damaged."));
}

it("a swap is finished by the next opener, whatever step its process died at", async () => {
  for (const step of ["recorded", "database moved", "log moved", "built", "renamed"]) {
    const { store, paths } = tempStore(driver);
    store.write((sql) => fill(sql, 5));
    await backUp(store, T0, 5);
    store.write((sql) => addSession(sql, { id: "newest" }));
    dieAt(step, store, paths);
    const other = openStore(driver, paths);
    expect([step, found(other, "SELECT id FROM sessions ORDER BY id")]).toEqual([step, ["newest", "ses"]]);
    expect(other.read(notices.list, [])).toHaveLength(1);
    expect(fs.existsSync(`${paths.database}.swap`)).toBe(false);
  }
});

it("a salvage that killed its process twice is left out, and the store opens", async ({ store, paths }) => {
  store.write((sql) => fill(sql, 1));
  await backUp(store, T0, 5);
  store.write((sql) => addSession(sql, { id: "newest" }));
  dieAt("log moved", store, paths);
  const swap = JSON.parse(fs.readFileSync(`${paths.database}.swap`, "utf8")) as object;
  fs.writeFileSync(`${paths.database}.swap`, JSON.stringify({ ...swap, attempts: 2 }));
  expect(found(store, "SELECT id FROM sessions")).toEqual(["ses"]);
});

it("a lock file that is replaced while it is taken locks nothing: the new one is taken", ({ store }) => {
  const { files } = store.context;
  let opened = 0;
  const replacing: Driver = (options) => {
    const connection = driver(options);
    if ((opened += 1) > 1) return connection;
    fs.rmSync(files.lock);
    createPrivateFile(files.lock);
    return connection;
  };
  const other = { ...store.context, busyMs: 0 };
  withMaintenanceLock({ ...store.context, driver: replacing }, "exclusive", () => {
    expect(refusal(() => withMaintenanceLock(other, "shared", () => 1)).code).toBe("store_locked");
  });
});

it("a damaged note of a swap, a damaged lock or a deleted database blocks no store", async ({ store, paths }) => {
  store.write((sql) => fill(sql, 1));
  await backUp(store, T0, 5);
  dieAt("recorded", store, paths);
  fs.writeFileSync(`${paths.database}.swap`, "rubbish");
  fs.writeFileSync(join(paths.home, "maintenance.db"), "rubbish ".repeat(2_000));
  expect(found(store, "SELECT id FROM sessions")).toEqual(["ses"]);
  dieAt("renamed", store, paths);
  fs.rmSync(paths.database);
  store.write((sql) => addSession(sql, { id: "new" }));
  expect(found(store, "SELECT id FROM sessions ORDER BY id")).toEqual(["new", "ses"]);
});

it("only the newest damaged files are kept", ({ store, paths }) => {
  store.write((sql) => addSession(sql));
  for (let n = 0; n < 5; n++) replaceHealthy(store, paths);
  expect(fs.readdirSync(paths.setAside).map((name) => name.slice(0, 6))).toEqual(["000003", "000004", "000005"]);
  expect(store.read(epochOf, 0)).toBe(6);
  expect(found(store, "SELECT id FROM sessions")).toEqual(["ses"]);
});

it("a store that is gone is begun anew, without its old log, and that is said", async ({ store, paths }) => {
  store.write((sql) => fill(sql, 1));
  await backUp(store, T0, 5);
  fs.rmSync(paths.database);
  store.write((sql) => addSession(sql, { id: "new" }));
  expect(found(store, "SELECT id FROM sessions")).toEqual(["new"]);
  const [notice] = store.read(notices.list, []);
  expect(notice).toMatchObject({ kind: "store_missing" });
  expect(notice?.text).toContain(paths.backups);
  expect(listBackups(paths.backups)).toHaveLength(1);
  expect(fs.readdirSync(paths.setAside)).toHaveLength(1);
});

function fill(sql: Sql, rows: number): void {
  addSession(sql);
  for (let n = 0; n < rows; n++) {
    const journalSeq = addJournal(sql, { key: `k${n}`, text: "j".repeat(1_000) });
    const summary = `word${n} ${"s".repeat(1_000)}`;
    addCheckpoint(sql, { id: `cp${n}`, summary, state: { goal: `g${n}` }, journalSeq });
  }
}

/** As if SQLite had twice reported damage that is none. */
function replaceHealthy(store: Store, paths: Paths): void {
  const inode = inodeOf(paths.database);
  setAside(store.context, { inode, isCertain: true, isIndexOnly: false, message: "said by a test" });
}
