import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { expect } from "vitest";
import { addSession, driver, found, openStore, T0, tempHome, tempStore } from "#harness/store/store-test.ts";
import { it } from "#harness/store/store-fixtures.ts";
import { pathsIn, type Paths } from "#src/platform/paths.ts";
import { backUp } from "#src/store/copy-store.ts";
import { epochOf } from "#src/store/meta.ts";
import * as notices from "#src/store/notices.ts";
import { NeedsHostError } from "#src/store/store-error.ts";
import type { Store } from "#src/store/store.ts";

const written = 40;

/** Its home as a kill -9 leaves it: nothing of the log is in the file but the schema. */
function killedHome(store: Store, rows = written): Paths {
  for (let n = 0; n < rows; n++) store.write((sql) => addSession(sql, { id: `ses${String(n).padStart(3, "0")}` }));
  const { home } = pathsIn(store.path.slice(0, -"/shim.db".length));
  const killed = tempHome();
  cpSync(home, killed.home, { recursive: true });
  return killed;
}

const kinds = (store: Store): string[] => store.read(notices.list, []).map(({ kind }) => kind);

const losses: Readonly<Record<string, (log: string) => void>> = {
  deleted: (log) => rmSync(log),
  "cut to nothing": (log) => truncateSync(log),
  "cut in half": (log) => truncateSync(log, statSync(log).size / 2),
  "overwritten from its middle": (log) => {
    const bytes = readFileSync(log);
    writeFileSync(log, bytes.fill(0xa5, bytes.length / 2));
  },
  "of another store": (log) => {
    const other = tempStore(driver, { now: () => T0 + 1 });
    copyFileSync(`${killedHome(other.store).database}-wal`, log);
  },
};

it("a log that is deleted, cut or another store's is found out by the next process, said once, and writing goes on", ({
  store,
}) => {
  for (const [name, damage] of Object.entries(losses)) {
    const paths = killedHome(store);
    damage(`${paths.database}-wal`);
    const reader = openStore(driver, paths, { isReadOnly: true });
    expect(() => reader.read(epochOf, 0), name).toThrow(NeedsHostError);
    const next = openStore(driver, paths, { now: () => T0 + 5 });
    const [notice, ...more] = next.read(notices.list, []);
    expect([notice?.kind, notice?.at, more], name).toEqual(["store_damaged", T0 + 5, []]);
    expect(notice?.text, name).toMatch(
      /shim\.db lost its newest (\d+ writes|writes: it has those of another database), as when/,
    );
    expect(next.read(epochOf, 0), name).toBe(2);
    expect(reader.read(epochOf, 0), name).toBe(2);
    next.write((sql) => addSession(sql, { id: "after" }));
    next.close();
    expect(found(next, "SELECT id FROM sessions WHERE id = 'after'"), name).toEqual(["after"]);
    expect([kinds(next), existsSync(paths.setAside)], name).toEqual([["store_damaged"], false]);
  }
});

it("after a kill -9, a close, or with a mark that is behind, half-written or gone, nothing is reported", ({
  store,
  paths,
}) => {
  const ends: Readonly<Record<string, (killed: Paths) => void>> = {
    killed: () => undefined,
    "killed before the mark of the newest write": ({ database }) => copyFileSync(older, `${database}.mark`),
    "half-written": ({ database }) =>
      writeFileSync(`${database}.mark`, readFileSync(`${database}.mark`).fill("9", 17, 33)),
    gone: ({ database }) => rmSync(`${database}.mark`),
  };
  const older = `${killedHome(store, 1).database}.mark`;
  for (const [name, end] of Object.entries(ends)) {
    const killed = killedHome(store);
    end(killed);
    const next = openStore(driver, killed);
    expect([kinds(next), found(next, "SELECT count(*) FROM sessions")], name).toEqual([[], [written]]);
    expect(openStore(driver, killed, { isReadOnly: true }).read(epochOf, 0), name).toBe(1);
  }
  store.close();
  expect([kinds(store), existsSync(`${paths.database}-wal`)]).toEqual([[], true]);
});

it("a log that is deleted under a running host costs nothing that is written after its next tick", ({
  store,
  paths,
}) => {
  const log = `${paths.database}-wal`;
  store.write((sql) => addSession(sql));
  rmSync(log);
  store.checkpointWal();
  const killed = killedHome(store);
  expect(kinds(openStore(driver, killed))).toEqual([]);
  expect(found(openStore(driver, killed), "SELECT count(*) FROM sessions")).toEqual([written + 1]);
});

it("a write that changes nothing is none", ({ store, paths }) => {
  store.write((sql) => addSession(sql));
  const before = readFileSync(`${paths.database}.mark`, "utf8");
  const size = statSync(`${paths.database}-wal`).size;
  store.write((sql) => sql.run("UPDATE sessions SET title = 'x' WHERE id = 'none'"));
  expect([readFileSync(`${paths.database}.mark`, "utf8"), statSync(`${paths.database}-wal`).size]).toEqual([
    before,
    size,
  ]);
});

it("a store that was put back by hand, or deleted with its backups, says that newer writes are gone", async ({
  store,
  paths,
}) => {
  store.write((sql) => addSession(sql));
  const backup = await backUp(store, T0, 5);
  store.write((sql) => addSession(sql, { id: "newest" }));
  store.close();
  copyFileSync(backup, paths.database);
  expect([kinds(store), found(store, "SELECT id FROM sessions")]).toEqual([["store_damaged"], ["ses"]]);
  store.close();
  for (const path of [paths.database, `${paths.database}-wal`, `${paths.database}-shm`, paths.backups])
    rmSync(path, { recursive: true, force: true });
  store.write((sql) => addSession(sql));
  expect([kinds(store), kinds(openStore(driver, paths))]).toEqual([["store_missing"], ["store_missing"]]);
  expect(store.read(notices.storeDamagedAt, null)).toBe(T0);
});

it("where the mark cannot be written all else is", ({ store, paths }) => {
  store.write((sql) => addSession(sql));
  store.close();
  rmSync(`${paths.database}.mark`);
  mkdirSync(`${paths.database}.mark`);
  store.write((sql) => addSession(sql, { id: "more" }));
  expect(found(openStore(driver, paths), "SELECT count(*) FROM sessions")).toEqual([2]);
});
