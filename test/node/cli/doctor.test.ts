import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import type { Io } from "#src/cli/io.ts";
import { backUp } from "#src/store/backup.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import * as notices from "#src/store/notices.ts";
import { pause } from "#src/store/pause.ts";
import { migrations } from "#src/store/schema.ts";
import { StoreError } from "#src/store/store-error.ts";
import { aCliHome, aSeededHome, checkpointOf, ids, seed, type CliHome } from "#harness/machine/cli-home.ts";

interface Line {
  readonly name: string;
  readonly state: string;
  readonly text: string;
  readonly fix: string | null;
}

async function doctor(home: CliHome, io: Partial<Io> = {}): Promise<{ code: number; lines: Map<string, Line> }> {
  const ran = await home.shimWith(io, "doctor --json");
  const { checks, isHealthy } = ran.json() as { checks: Line[]; isHealthy: boolean };
  expect(isHealthy).toBe(ran.code === 0);
  // A line that is not ok says what to do.
  for (const line of checks) expect([line.name, line.state === "ok"]).toEqual([line.name, line.fix === null]);
  return { code: ran.code, lines: new Map(checks.map((line) => [line.name, line])) };
}

function connect(home: CliHome): Promise<unknown> {
  mkdirSync(join(home.folder, ".claude"));
  return home.shim("init --yes");
}

it("[CL15] a healthy machine has only ok lines, and answers 0", async () => {
  const home = aCliHome();
  await connect(home);
  seed(home);
  home.runtime.store.write((sql) => sql.run("DELETE FROM sessions WHERE id IN (?, ?)", ids.dead, ids.elsewhere));
  await backUp(home.runtime.store, home.now, 5);
  const { code, lines } = await doctor(home);
  expect([...lines.values()].filter(({ state }) => state !== "ok")).toEqual([]);
  expect(code).toBe(0);
  const names = [
    "node",
    "pinned_node",
    "git",
    "folder",
    "disk_space",
    "config",
    "spool",
    "claude-code:installed",
    "sqlite",
    "store",
    "schema",
    "permissions",
  ];
  for (const name of [...names, "backups", "incomplete", "snapshots"]) expect([...lines.keys()]).toContain(name);
  const { out } = await home.shim("doctor");
  expect(out).toContain("ok    node: Node 24.1.0");
  expect(out).toMatch(/\d+ ok, 0 warnings, 0 failures\n$/);
});

it("[CL15] it warns of what needs a look: SQLite's second choice, no git, waiting events, notices, pauses, dead sessions, failed snapshots, no backup", async () => {
  const home = aSeededHome();
  const checkpoint = checkpointOf(home, ids.dead);
  home.runtime.store.write((sql) => {
    notices.add(sql, home.now, "x", "the store was damaged");
    pause(sql, home.now, null, null);
    sql.run(
      "INSERT INTO snapshots (checkpoint_id, session_id, at, state, reason, project) VALUES (?, ?, ?, 'failed', 'git failed', '/p')",
      checkpoint,
      ids.dead,
      home.now,
    );
  });
  mkdirSync(home.paths.spool, { mode: 0o700 });
  writeFileSync(join(home.paths.spool, "1-2.jsonl"), "{}", { mode: 0o600 });
  const makeRuntime: Io["makeRuntime"] = async () => ({
    runtime: home.runtime,
    driver: "node:sqlite",
    fallbackReason: "better-sqlite3 could not be loaded",
  });
  const { code, lines } = await doctor(home, { makeRuntime, versionOf: () => null });
  expect(code).toBe(0);
  const warnings = [...lines.values()].filter(({ state }) => state === "warn").map(({ name }) => name);
  expect(warnings.toSorted()).toEqual([
    "backups",
    "clients",
    "git",
    "incomplete",
    "notice",
    "paused",
    "snapshots",
    "spool",
    "sqlite",
  ]);
  const { out } = await home.shimWith({ makeRuntime }, "doctor");
  expect(out).toContain(`waiting in ${home.paths.spool}: 1 file of events\n`);
  expect(out).toMatch(/warn {2}incomplete: 2 sessions died unfinished\n {6}fix: /);
});

it("[CL157] --acknowledge prints the notices once more and ends them", async () => {
  const home = aCliHome();
  expect((await home.shim("doctor --acknowledge")).out).toBe("0 notices acknowledged.\n");
  home.runtime.store.write((sql) => notices.add(sql, home.now, "x", "the store was damaged"));
  expect((await home.shim("doctor --acknowledge")).out).toBe("the store was damaged\n1 notice acknowledged.\n");
  expect(await home.json("doctor --acknowledge")).toEqual({ acknowledged: [] });
  expect((await home.shim("up --once")).out).not.toContain("damaged");
});

it("[CL15] an old backup is a warning", async () => {
  const home = aSeededHome();
  await backUp(home.runtime.store, home.now, 5);
  home.now += 3 * 86_400_000;
  expect((await doctor(home)).lines.get("backups")).toMatchObject({ state: "warn" });
});

it("[CL15] an old Node, readable files, invalid settings and a broken client fail, and it answers 1", async () => {
  const home = aCliHome();
  await connect(home);
  seed(home);
  rmSync(join(home.folder, "app"), { recursive: true });
  chmodSync(home.paths.database, 0o644);
  writeFileSync(home.paths.config, '{ "recovry": "ask" }', { mode: 0o600 });
  const { code, lines } = await doctor(home, { nodeVersion: "20.20.0" });
  expect(code).toBe(1);
  const failures = [...lines.values()].filter(({ state }) => state === "fail");
  expect(failures.map(({ name }) => name).toSorted()).toEqual([
    "claude-code:script_missing",
    "config",
    "node",
    "permissions",
  ]);
  expect(lines.get("config")?.text).toContain("recovry");
  expect(lines.get("permissions")?.text).toContain("shim.db");
});

it("[CL15] a store that cannot be opened or is damaged fails, with what to do", async () => {
  const home = aSeededHome();
  const none = await doctor(home, {
    makeRuntime: async () => Promise.reject(new StoreError("store_unavailable", "no SQLite can be loaded")),
  });
  expect(none.code).toBe(1);
  expect(none.lines.get("store")?.text).toBe("no SQLite can be loaded");
  const bug = await home.shimWith({ makeRuntime: async () => Promise.reject(new Error("oops")) }, "doctor");
  expect(bug.code).toBe(1);
  expect(bug.out).toContain("fail  store: could not be checked: oops");
  home.runtime.store.write((sql) => sql.run("UPDATE migrations SET min_reader = 99"));
  home.runtime.store.close();
  const newer = await doctor(home);
  expect(newer.lines.get("store")).toMatchObject({ state: "fail" });
  expect(newer.lines.get("store")?.text).toContain("newer shim");
});

it("[CL15] a folder that is none fails before anything is stored, as nothing can be saved there", async () => {
  const home = aCliHome();
  const file = join(home.folder, "file");
  writeFileSync(file, "");
  for (const place of [file, join(file, "deeper", "shim")]) {
    const { code, lines } = await doctor(home, { env: { ...home.runtime.env, SHIM_HOME: place } });
    expect(code).toBe(1);
    expect(lines.get("folder")).toMatchObject({ state: "fail" });
    expect(lines.get("folder")?.text).toContain(`${file} is not a folder`);
    expect(lines.get("folder")?.fix).toContain("SHIM_HOME");
  }
  expect((await doctor(home)).lines.get("folder")).toMatchObject({ state: "ok" });
});

it.skipIf(process.getuid?.() === 0)(
  "[CL15] a folder that is read-only fails, also while it is to be made",
  async () => {
    const home = aCliHome();
    const folder = join(home.folder, "read-only");
    mkdirSync(folder, { mode: 0o500 });
    for (const place of [folder, join(folder, "shim")]) {
      const { code, lines } = await doctor(home, { env: { ...home.runtime.env, SHIM_HOME: place } });
      expect(code).toBe(1);
      expect(lines.get("folder")).toMatchObject({ state: "fail" });
      expect(lines.get("folder")?.text).toContain(`${folder} cannot be written to`);
    }
  },
);

it("[CL15] what SQLite's own check finds is a failure", async () => {
  const home = aSeededHome();
  home.runtime.store.close();
  // In the index of journal keys the two texts stand side by side; with one changed a row is missing from it.
  const file = readFileSync(home.paths.database);
  file.write("k9", file.indexOf(`${ids.dead}k1`) + ids.dead.length);
  writeFileSync(home.paths.database, file);
  const { code, lines } = await doctor(home);
  expect(code).toBe(1);
  expect(lines.get("store")).toMatchObject({ state: "fail" });
  expect(lines.get("store")?.text).toContain("is damaged: ");
  const { database } = home.paths;
  // A log that is left beside a copied database would damage it.
  for (const part of ["Close all chats", `delete ${database}, ${database}-wal and ${database}-shm`, home.paths.backups])
    expect(lines.get("store")?.fix).toContain(part);
});

it("[CL15] schemas of other versions are told", async () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) =>
    sql.run("INSERT INTO migrations (id, name, min_reader, applied_at) VALUES (99, 'later', 0, 0)"),
  );
  expect((await doctor(home)).lines.get("schema")).toMatchObject({ state: "warn" });
  const older = aCliHome();
  mkdirSync(dirname(older.paths.database), { recursive: true });
  writeFileSync(older.paths.database, "");
  const connection = openNodeSqlite({ path: older.paths.database, readOnly: false, busyMs: 0 });
  connection.script("PRAGMA journal_mode = WAL; PRAGMA user_version = 1");
  connection.close();
  expect((await doctor(older)).lines.get("schema")).toMatchObject({
    state: "ok",
    text: `version ${migrations.length}, just migrated from 0`,
  });
});
