import * as snapshotDrops from "#src/store/snapshot-drops.ts";
import * as spool from "#src/store/spool.ts";
import * as fc from "fast-check";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { forget, isPurgePending, purge } from "#src/machine/keeping/forget.ts";
import type { Sql } from "#src/shared/sql.ts";
import { backUp, listBackups } from "#src/store/backup.ts";
import { hasPending, rebuild } from "#src/store/text-index.ts";
import {
  driver,
  found,
  addCheckpoint,
  addJournal,
  addSession,
  plant,
  searched,
  openStore,
  T0,
  tempStore,
} from "#harness/store/store-test.ts";
import { it } from "#harness/store/store-fixtures.ts";

const MARK = "zqxforgottenzqx";

it("forgetting a session or a project deletes its rows in every table and nothing else", ({ store }) => {
  store.write((sql) => {
    for (const [id, project] of Object.entries({ one: "/p", two: "/p", three: "/q" })) plant(sql, id, project, "x");
  });
  const one = store.write((sql) => forget(sql, { session: "one" }));
  expect(one).toMatchObject({ sessions: ["one"], checkpoints: ["cp one"], rows: 7 });
  const drop = { checkpointId: "cp one", repository: "/snapshots/r" };
  expect(store.read((sql) => snapshotDrops.list(sql, 10), [])).toEqual([drop]);
  expect(store.write((sql) => forget(sql, { project: "/p" })).sessions).toEqual(["two"]);
  for (const table of ["sessions", "journal", "checkpoints", "signals", "crashes", "recoveries", "clients"]) {
    const ids = found(store, `SELECT ${table === "sessions" ? "id" : "session"} FROM ${table}`);
    expect([table, ids]).toEqual([table, ["three"]]);
  }
  expect(store.write((sql) => forget(sql, { session: "unknown" }))).toMatchObject({ checkpoints: [], rows: 0 });
});

it("after a purge no file holds a byte of the forgotten, and the rest is whole", async ({ store, paths }) => {
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
  found(other, "SELECT id FROM sessions");
  expect(filesWith(paths.home, MARK).length).toBeGreaterThan(3);
  store.write((sql) => snapshotDrops.remove(sql, forget(sql, { project: `/${MARK}` }).checkpoints));
  await purge({ store, paths });
  expect(filesWith(paths.home, MARK)).toEqual([]);
  expect(store.read(isPurgePending, true)).toBe(false);
  expect(found(other, "SELECT id FROM sessions")).toEqual(["kept"]);
  expect(other.write((sql) => searched(sql, "kept"))).toHaveLength(1);
  expect(listBackups(paths.backups)).toHaveLength(1);
  expect(spool.drain(paths.spool, (entry) => expect(entry).toMatchObject({ input: { session_id: "kept" } }))).toBe(1);
  store.write(compare);
});

it("after any history of saved and deleted rows a purge leaves no byte of what was forgotten", async () => {
  const chars = fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 3_000, max: 20_000 }));
  const row = fc.record({ session: fc.nat(4), chars, isDeleted: fc.boolean(), isChanged: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 20, maxLength: 120 }), async (rows) => {
      const { store, paths } = tempStore(driver);
      const textOf = (session: number, chars: number): string => `${session === 0 ? MARK : "other"} `.repeat(chars / 8);
      rows.forEach(({ session, chars, isDeleted, isChanged }, n) =>
        store.write((sql) => {
          addSession(sql, { id: `s${session}` });
          const text = textOf(session, chars);
          addJournal(sql, { session: `s${session}`, key: `${textOf(session, 16)}${n}`, at: n, text });
          if (isDeleted) sql.run("DELETE FROM journal WHERE seq % 5 = ?", n % 5);
          // What a row has held before belongs to what is forgotten.
          if (isChanged) sql.run("UPDATE sessions SET title = ? WHERE id = ?", text, `s${session}`);
          if (isChanged) sql.run("UPDATE sessions SET title = 'short' WHERE id = ?", `s${n % 5}`);
        }),
      );
      store.write((sql) => forget(sql, { session: "s0" }));
      await purge({ store, paths });
      expect(filesWith(paths.home, MARK)).toEqual([]);
      store.close();
    }),
    { numRuns: 8, examples: [[movedCells]] },
  );
});

it("a purge that another process holds up says what is left, and succeeds when repeated", async () => {
  const { store, paths } = tempStore(driver, { busyMs: 20 });
  store.write((sql) => plant(sql, MARK, "/p", MARK));
  const reader = openStore(driver, paths).connection();
  reader.run("BEGIN");
  reader.all("SELECT count(*) FROM sessions");
  store.write((sql) => snapshotDrops.remove(sql, forget(sql, { session: MARK }).checkpoints));
  const held = expect.stringMatching(/deleted, but the write-ahead log may still hold.*repeat the command/) as string;
  await expect(purge({ store, paths })).rejects.toMatchObject({ code: "store_locked", message: held });
  expect(store.read(isPurgePending, false)).toBe(true);
  reader.run("COMMIT");
  await purge({ store, paths });
  expect(filesWith(paths.home, MARK)).toEqual([]);
  expect(existsSync(paths.backups)).toBe(false);
});

/** Deleting these rows moves cells within a page, whose copies `secure_delete` leaves. */
const movedCells = [3_000, 1, 1, 1, 1, 14_280, 1, 3_000, 1, 1, 3_000, 1, 1, 1, 1, 488, 1, 15_744, 3_000, 1].map(
  (chars) => ({ session: [488, 15_744].includes(chars) ? 1 : 0, chars, isDeleted: false, isChanged: false }),
);

function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(text));
}

/** The index against the rows: FTS5's own comparison (sqlite.org/fts5.html 6.4), which fails as damage. */
function compare(sql: Sql): void {
  sql.run("INSERT INTO checkpoints_text (checkpoints_text, rank) VALUES ('integrity-check', 1)");
}

it("whatever is saved, deleted and searched in whatever order, the index finds what is there and nothing else", () => {
  const step = fc.record({ kind: fc.constantFrom("save", "drop", "search", "rebuild"), at: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { store } = tempStore(driver);
      store.write((sql) => addSession(sql));
      const there = new Set<number>();
      const run = (sql: Sql, { kind, at }: (typeof steps)[number]): void => {
        if (kind === "save" && !there.has(at)) {
          addCheckpoint(sql, { id: `cp${at}`, summary: `word${at} common` });
          there.add(at);
        }
        // The highest number comes again after its row is gone.
        if (kind === "drop" && there.delete(at)) sql.run("DELETE FROM checkpoints WHERE id = ?", `cp${at}`);
        if (kind === "search") expect(searched(sql, "common")).toHaveLength(there.size);
        if (kind === "rebuild") rebuild(sql);
      };
      for (const one of steps) store.write((sql) => run(sql, one));
      for (let at = 0; at < 10; at++) {
        expect(store.write((sql) => searched(sql, `word${at}`))).toHaveLength(there.has(at) ? 1 : 0);
      }
      store.write(compare);
      expect(store.read(hasPending, true)).toBe(false);
      store.close();
    }),
    { numRuns: 60 },
  );
});
