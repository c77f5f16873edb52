import { appendFileSync, existsSync, lstatSync, mkdirSync, readdirSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Connection, OpenOptions } from "#src/store/driver.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { migrate } from "#src/shared/migrate.ts";
import { decode, encode } from "#src/store/checkpoint-body.ts";
import { migrations, Store } from "#src/store/store.ts";
import { NeedsHostError, StoreError } from "#src/store/store-error.ts";
import { OperationRunner } from "#src/local-mcp/host/operation-runner.ts";
import { err, ok } from "#src/shared/result.ts";
import type { Io } from "#src/cli/io.ts";
import { hostClientWith } from "#harness/machine/host-rig.ts";
import { isBackupDue } from "#src/store/backup.ts";
import { backUp } from "#src/store/copy-store.ts";
import { aCliHome, ids, seed, withRuntime, type CliHome } from "#harness/machine/cli-home.ts";
import { smallDisk } from "#harness/store/small-disk.ts";
import { pathsIn } from "#src/platform/paths.ts";
import { addSession, found, T0, tempHome, tempStore } from "#harness/store/store-test.ts";

/** SQLite on a disk that takes no write: nothing below `home` can be opened. */
function readOnlyBelow(home: string): (options: OpenOptions) => Connection {
  return (options) => {
    if (!options.path.startsWith(home)) return openBetterSqlite3(options);
    throw Object.assign(new Error("attempt to write a readonly database"), { code: "ERR_SQLITE_ERROR", errcode: 8 });
  };
}

const readingCommands = [
  "sessions",
  "sessions --json",
  `sessions show ${ids.dead}`,
  `sessions show ${ids.dead} --stored`,
  "sessions search work",
  `resume ${ids.dead} --print`,
  "sessions export",
  "up --once",
];

/** On such a disk none can be started. */
function noHost({ runtime }: CliHome): Pick<Io, "hostClient"> {
  const unusable = err({ code: "host_unusable", message: "the disk is read-only" } as const);
  return { hostClient: () => ({ ...hostClientWith(runtime), call: () => Promise.resolve(unusable) }) };
}

/** Those of an update of SHIM. */
const updated = [...migrations, { id: migrations.length + 1, name: "new", statements: ["CREATE TABLE new (a TEXT)"] }];

const scratch = (): string[] => readdirSync(tmpdir()).filter((name) => /^shim-\w{6}$/.test(name));

it("on a read-only disk everything that is stored can be read, also after an update, with its newest rows, and nothing is left behind", async () => {
  const home = aCliHome();
  seed(home);
  const { runtime, paths } = home;
  expect(statSync(`${paths.database}-wal`).size).toBeGreaterThan(0);
  const driver = readOnlyBelow(paths.home);
  const options = { path: paths.database, driver, now: runtime.now, busyMs: 0, migrations: updated };
  expect(() => new Store(options).read(() => 1, 0)).toThrow("read-only");
  const before = scratch();
  const store = new Store({ ...options, isReadOnly: true });
  const { makeRuntime } = withRuntime({ ...runtime, store });
  for (const command of readingCommands) {
    const { code, out } = await home.shimWith({ makeRuntime, ...noHost(home) }, command);
    expect([command, code, out]).toEqual([command, 0, (await home.shim(command)).out]);
  }
  store.close();
  const written = withRuntime({ ...runtime, store: new Store(options) });
  expect((await home.shimWith(written, "sessions name", ids.dead, "new name")).err).toContain("read-only");
  expect(scratch()).toEqual(before);
});

it("on a full disk what is stored can be read, also where its log is closed", (test) => {
  const paths = pathsIn(smallDisk(test, 2));
  const options = { path: paths.database, driver: openBetterSqlite3, now: () => T0, busyMs: 0 };
  const store = new Store(options);
  store.write((sql) => addSession(sql, { id: "kept" }));
  store.close();
  expect(() => {
    for (;;) appendFileSync(join(paths.home, "filler"), Buffer.alloc(4_096));
  }).toThrow("ENOSPC");
  const reader = new Store({ ...options, isReadOnly: true });
  expect(found(reader, "SELECT id FROM sessions")).toEqual(["kept"]);
  reader.close();
});

it("a process that only reads has the newest commit of the host, and writes nothing", () => {
  const { store, paths } = tempStore(openBetterSqlite3);
  const reader = new Store({ path: paths.database, driver: openBetterSqlite3, now: () => T0, isReadOnly: true });
  const names = (): unknown[] => found(reader, "SELECT id FROM sessions ORDER BY id");
  expect([names(), existsSync(paths.database)]).toEqual([[], false]);
  store.write((sql) => addSession(sql, { id: "s1" }));
  expect(names()).toEqual(["s1"]);
  store.write((sql) => addSession(sql, { id: "s2" }));
  expect(names()).toEqual(["s1", "s2"]);
  expect(() => reader.write(() => 1)).toThrow("by the host only");
  reader.keep((sql) => addSession(sql, { id: "s3" }));
  expect(() => reader.read((sql) => sql.run("DELETE FROM sessions"), 0)).toThrow(StoreError);
  expect(names()).toEqual(["s1", "s2"]);
  reader.close();
});

it("what must be migrated or repaired first is left to the host, which does the read", async () => {
  const home = aCliHome();
  seed(home);
  const { runtime, paths } = home;
  const before = (await home.shim("sessions")).out;
  const options = { path: paths.database, driver: openBetterSqlite3, now: runtime.now, migrations: updated };
  const newer = new Store(options);
  const reader = new Store({ ...options, isReadOnly: true });
  expect(() => reader.read(() => 1, 0)).toThrow(NeedsHostError);
  const asked: string[] = [];
  const call = async ({ name }: { name: string }) => {
    asked.push(name);
    newer.read(() => null, null);
    return ok({ project: null, sessions: [], elsewhere: null });
  };
  const reading = { ...runtime, store: reader };
  const host = new OperationRunner({
    paths,
    site: home.io(),
    loaded: withRuntime(reading).makeRuntime,
    runtime: async () => reading,
    hostClient: { ...hostClientWith(runtime), call },
  });
  expect((await host.call("sessions.list", {})).ok).toBe(true);
  expect(asked).toEqual(["sessions.list"]);
  // The host has migrated it.
  expect(reader.read(() => 1, 0)).toBe(1);
  expect((await home.shimWith(withRuntime(reading), "sessions")).out).toBe(before);
  reader.close();
  newer.close();
});

function linked(to: string): Store {
  const path = join(tempHome().home, "shim.db");
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(to, path);
  return new Store({ path, driver: openBetterSqlite3, now: () => T0 });
}

it("a store that is a link to a disk that is not there, or to itself, is refused, and no new one is begun", () => {
  const store = linked("/nonexistent/disk/shim.db");
  const message = /is a link to \/nonexistent\/disk\/shim\.db, which does not exist/;
  expect(() => store.read(() => 1, 0)).toThrow(message);
  expect(() => store.write(() => 1)).toThrow(message);
  expect([lstatSync(store.path).isSymbolicLink(), existsSync("/nonexistent")]).toEqual([true, false]);
  expect(() => linked("shim.db").write(() => 1)).toThrow(/cannot be opened/);
});

it("the first backup is due minutes after the first checkpoint, the next ones each after twice as long", async () => {
  const { store, paths } = tempStore(openBetterSqlite3);
  store.write((sql) => addSession(sql));
  expect(isBackupDue(paths.backups, T0, null)).toBe(true);
  await backUp(store, T0 - 1, 9);
  const minute = 60_000;
  const due = (minutes: number): boolean => isBackupDue(paths.backups, T0 + minutes * minute, T0);
  expect([due(1), due(5)]).toEqual([false, true]);
  for (const minutes of [5, 10, 20, 40]) {
    expect([minutes, due(minutes - 1), due(minutes)]).toEqual([minutes, false, true]);
    await backUp(store, T0 + minutes * minute, 9);
  }
  await backUp(store, T0 + 3 * 1_440 * minute, 9);
  expect([due(3 * 1_440 + 1_439), due(4 * 1_440)]).toEqual([false, true]);
});

it("a list of migrations with a gap or another order is refused", () => {
  const { store } = tempStore(openBetterSqlite3);
  const gap = [...migrations, { id: migrations.length + 2, name: "gap", statements: [] }];
  const refused = /gap has id \d+, expected \d+: the list is append-only/;
  expect(() => store.write((sql) => migrate(sql, T0, gap))).toThrow(refused);
});

it("a body of any size is a zstd frame that gives the state back; a changed byte never gives another state", () => {
  const state = fc.record({ text: fc.string({ unit: "grapheme" }), length: fc.nat(9_000) });
  const property = fc.property(state, fc.nat(), ({ text, length }, at) => {
    const value = { text, filler: "x".repeat(length) };
    const { body, hash, rawBytes } = encode(value);
    expect(zstdDecompressSync(body).length).toBe(rawBytes);
    expect(decode(body, hash)).toEqual(value);
    const changed = Uint8Array.from(body);
    changed[at % body.length] = ((changed[at % body.length] ?? 0) + 1) % 256;
    let restored: unknown = value;
    try {
      restored = decode(changed, hash);
    } catch {
      // Noticed.
    }
    expect(restored).toEqual(value);
  });
  fc.assert(property);
  const bomb = encode("x".repeat(2 ** 26));
  expect(() => decode(bomb.body, bomb.hash)).toThrow();
});
