import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { backUp, listBackups } from "#src/store/backup.ts";
import type { Driver } from "#src/store/driver.ts";
import { forget, isPurgePending, purge } from "#src/local-mcp/retention/forget.ts";
import * as pauses from "#src/store/pause.ts";
import * as snapshotDrops from "#src/store/snapshot-drops.ts";
import * as spool from "#src/store/spool.ts";
import { column, plant, searched } from "#harness/store/store-rows.ts";
import { openStore, T0, tempStore } from "#harness/store/temp-store.ts";

const DAY = 86_400_000;
const MARK = "zqxforgottenzqx";

/** Forgetting and pause, alike on every driver. */
export function storeContentRules(driver: Driver): void {
  it("[ST50] a pause holds for its project or for all, until its time or until resumed", () => {
    const { store } = tempStore(driver);
    const isPaused = (at: number, project: string | null): boolean =>
      store.read((sql) => pauses.isPaused(sql, at, project), false);
    store.write((sql) => pauses.pause(sql, T0, T0 + 10, "/p"));
    expect([isPaused(T0, "/p"), isPaused(T0, "/q"), isPaused(T0, null)]).toEqual([true, false, false]);
    expect(isPaused(T0 + 10, "/p")).toBe(false);
    store.write((sql) => pauses.pause(sql, T0, null, null));
    expect([isPaused(T0 + 1_000 * DAY, "/q"), isPaused(T0, null)]).toEqual([true, true]);
    expect(store.read((sql) => pauses.list(sql, T0), [])).toEqual([
      { project: null, until: null },
      { project: "/p", until: T0 + 10 },
    ]);
    expect(store.write((sql) => pauses.resume(sql, T0, null))).toBe(true);
    expect(store.write((sql) => pauses.resume(sql, T0, null))).toBe(false);
    expect(isPaused(T0, "/p")).toBe(true);
    store.write((sql) => pauses.resume(sql, T0 + 10, "/q"));
    expect(store.read((sql) => column(sql, "SELECT key FROM meta WHERE key LIKE 'pause%'"), [])).toEqual([]);
  });

  it("[ST60] forgetting a session or a project deletes its rows in every table and nothing else", () => {
    const { store } = tempStore(driver);
    store.write((sql) => {
      for (const [id, project] of [
        ["one", "/p"],
        ["two", "/p"],
        ["three", "/q"],
      ] as const) {
        plant(sql, id, project, "x");
      }
    });
    const one = store.write((sql) => forget(sql, { session: "one" }));
    expect(one).toMatchObject({ sessions: ["one"], checkpoints: ["cp one"], rows: 7 });
    expect(store.read((sql) => snapshotDrops.list(sql, 10), [])).toEqual([
      { checkpointId: "cp one", repository: "/snapshots/r" },
    ]);
    expect(store.write((sql) => forget(sql, { project: "/p" })).sessions).toEqual(["two"]);
    for (const table of ["sessions", "journal", "checkpoints", "signals", "crashes", "recoveries", "clients"]) {
      const ids = store.read(
        (sql) => column(sql, `SELECT ${table === "sessions" ? "id" : "session_id"} FROM ${table}`),
        [],
      );
      expect([table, ids]).toEqual([table, ["three"]]);
    }
    expect(store.write((sql) => forget(sql, { session: "unknown" }))).toMatchObject({ checkpoints: [], rows: 0 });
  });

  it("[ST60] forgetting one checkpoint leaves its session", () => {
    const { store } = tempStore(driver);
    store.write((sql) => plant(sql, "one", "/p", "x"));
    expect(store.write((sql) => forget(sql, { checkpoint: "cp one" }))).toMatchObject({
      checkpoints: ["cp one"],
      rows: 1,
    });
    expect(store.read((sql) => column(sql, "SELECT id FROM sessions"), [])).toEqual(["one"]);
    expect(store.read(isPurgePending, false)).toBe(true);
  });

  it("[ST61] after a purge no byte of any file holds what was forgotten, and the rest is whole", async () => {
    const { store, paths } = tempStore(driver);
    store.write((sql) => plant(sql, "kept", "/q", "kept"));
    store.write((sql) => plant(sql, MARK, `/${MARK}`, MARK));
    store.write((sql) => plant(sql, "other", `/${MARK}`, MARK));
    await backUp(store, T0, 5);
    mkdirSync(join(paths.setAside, "000001-x"), { recursive: true });
    writeFileSync(join(paths.setAside, "000001-x", "shim.db"), MARK);
    spool.append(paths.spool, { at: T0, input: { session_id: MARK, prompt: MARK } });
    spool.append(paths.spool, { at: T0, input: { session_id: "new", cwd: `/${MARK}/sub`, prompt: MARK } });
    spool.append(paths.spool, { at: T0, input: { session_id: "kept", cwd: "/q" } });
    const other = openStore(driver, paths);
    other.read((sql) => column(sql, "SELECT id FROM sessions"), []);
    expect(filesWith(paths.home, MARK).length).toBeGreaterThan(3);
    store.write((sql) => snapshotDrops.remove(sql, forget(sql, { project: `/${MARK}` }).checkpoints));
    await purge(store, paths);
    expect(filesWith(paths.home, MARK)).toEqual([]);
    expect(store.read(isPurgePending, true)).toBe(false);
    expect(other.read((sql) => column(sql, "SELECT id FROM sessions"), [])).toEqual(["kept"]);
    expect(other.write((sql) => searched(sql, "kept"))).toHaveLength(1);
    expect(listBackups(paths.backups)).toHaveLength(1);
    expect(spool.drain(paths.spool, (entry) => expect(entry).toMatchObject({ input: { session_id: "kept" } }))).toBe(1);
  });

  it("[ST61] a purge that another process holds up says what is left, and succeeds when repeated", async () => {
    const { store, paths } = tempStore(driver, { busyMs: 20 });
    store.write((sql) => plant(sql, MARK, "/p", MARK));
    const reader = openStore(driver, paths).connection();
    reader.run("BEGIN");
    reader.all("SELECT count(*) FROM sessions");
    store.write((sql) => snapshotDrops.remove(sql, forget(sql, { session: MARK }).checkpoints));
    await expect(purge(store, paths)).rejects.toMatchObject({
      code: "store_locked",
      message: expect.stringMatching(/deleted, but the write-ahead log may still hold.*repeat the command/) as string,
    });
    expect(store.read(isPurgePending, false)).toBe(true);
    reader.run("COMMIT");
    await purge(store, paths);
    expect(filesWith(paths.home, MARK)).toEqual([]);
    expect(existsSync(paths.backups)).toBe(false);
  });
}

function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(text));
}
