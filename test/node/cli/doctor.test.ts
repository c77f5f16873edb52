import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import type { Io } from "#src/cli/io.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { backUp } from "#src/store/backup.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import * as notices from "#src/store/notices.ts";
import { pause } from "#src/store/pause.ts";
import { migrations } from "#src/store/schema.ts";
import { StoreError } from "#src/store/store-error.ts";
import {
  aCliHome,
  addSnapshot,
  aSeededHome,
  holding,
  ids,
  seed,
  throwing,
  withRuntime,
  type CliHome,
} from "#harness/machine/cli-home.ts";
import { aServiceRuntime } from "#harness/experiments/service-rig.ts";
import { readOnlyFile, remount, smallDisk, type DiskOptions } from "#harness/store/small-disk.ts";

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

it("a healthy machine has only ok lines, and answers 0", async () => {
  const home = aCliHome();
  await connect(home);
  seed(home);
  home.runtime.store.write((sql) => sql.run("DELETE FROM sessions WHERE id IN (?, ?)", ids.dead, ids.elsewhere));
  await backUp(home.runtime.store, home.now, 5);
  const { code, lines } = await doctor(home);
  expect([...lines.values()].filter(({ state }) => state !== "ok")).toEqual([]);
  expect(code).toBe(0);
  const names = "node git folder disk_space config spool hook_input claude-code:installed sqlite store schema";
  const others = "permissions backups incomplete snapshots";
  expect([...lines.keys()]).toEqual(expect.arrayContaining(`${names} ${others}`.split(" ")));
  expect((await home.shim("doctor")).out).toEqual(
    holding("ok    node: Node 24.1.0", /\d+ ok, 0 warnings, 0 failures\n$/),
  );
});

it("it warns of what needs attention: SQLite's second choice, no git, waiting events, notices, pauses, dead sessions, failed snapshots, no backup", async () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) => {
    notices.add(sql, home.now, "x", "the store was damaged");
    pause(sql, home.now, null, null);
  });
  addSnapshot(home, { reason: "git failed" });
  mkdirSync(home.paths.spool, { mode: 0o700 });
  writeFileSync(join(home.paths.spool, "1-2-3.json"), "{}", { mode: 0o600 });
  const fallback = withRuntime(home.runtime, "better-sqlite3 could not be loaded");
  const { code, lines } = await doctor(home, { ...fallback, versionOf: () => null });
  expect(code).toBe(0);
  const warnings = [...lines.values()].filter(({ state }) => state === "warn").map(({ name }) => name);
  const named = "backups clients git incomplete notice paused snapshots spool sqlite";
  expect(warnings.toSorted()).toEqual(named.split(" "));
  const waiting = `waiting in ${home.paths.spool}: 1 file of events\n`;
  expect((await home.shimWith(fallback, "doctor")).out).toEqual(
    holding(waiting, /warn {2}incomplete: 2 sessions died unfinished\n {6}fix: /),
  );
});

it("it says how many inputs of hooks could not be read whole, when, and where they are", async () => {
  const home = aCliHome();
  const { runtime, paths } = home;
  answerHook(runtime, "UserPromptSubmit", () => "no json", 1);
  const at = new Date(runtime.now()).toISOString();
  expect((await doctor(home)).lines.get("hook_input")).toMatchObject({
    state: "warn",
    text: `1 input of hooks could not be read whole, at ${at} (the last: UserPromptSubmit of Claude Code: input is not JSON); what came is in ${paths.unread}`,
  });
  answerHook(runtime, "Stop", () => "", 1);
  expect((await doctor(home)).lines.get("hook_input")?.text).toContain(
    `2 inputs of hooks could not be read whole, from ${at} to ${at}`,
  );
});

it("--acknowledge prints the notices once more and ends them", async () => {
  const home = aCliHome();
  expect((await home.shim("doctor --acknowledge")).out).toBe("0 notices acknowledged.\n");
  home.runtime.store.write((sql) => notices.add(sql, home.now, "x", "the store was damaged"));
  expect((await home.shim("doctor --acknowledge")).out).toBe("the store was damaged\n1 notice acknowledged.\n");
  expect(await home.json("doctor --acknowledge")).toEqual({ acknowledged: [] });
  expect((await home.shim("up --once")).out).not.toContain("damaged");
});

it("an old backup is a warning", async () => {
  const home = aSeededHome();
  await backUp(home.runtime.store, home.now, 5);
  home.now += 3 * 86_400_000;
  expect((await doctor(home)).lines.get("backups")).toMatchObject({ state: "warn" });
});

it("an old Node, readable files, invalid settings and a broken client fail, and it answers 1", async () => {
  const home = aCliHome();
  await connect(home);
  seed(home);
  rmSync(join(home.folder, "app"), { recursive: true });
  chmodSync(home.paths.database, 0o644);
  writeFileSync(home.paths.config, '{ "recovry": "ask" }', { mode: 0o600 });
  const { code, lines } = await doctor(home, { nodeVersion: "20.20.0" });
  expect(code).toBe(1);
  const failed = [...lines.values()].filter(({ state }) => state === "fail");
  const named = ["claude-code:script_missing", "config", "node", "permissions"];
  expect(failed.map(({ name }) => name).toSorted()).toEqual(named);
  expect(lines.get("config")?.text).toContain("recovry");
  expect(lines.get("permissions")?.text).toContain("shim.db");
});

it("a store that cannot be opened or is damaged fails, with what to do", async () => {
  const home = aSeededHome();
  const unavailable = new StoreError("store_unavailable", "no SQLite can be loaded");
  const none = await doctor(home, { makeRuntime: throwing(unavailable) });
  expect([none.code, none.lines.get("store")?.text]).toEqual([1, "no SQLite can be loaded"]);
  const bug = await home.shimWith({ makeRuntime: throwing(new Error("oops")) }, "doctor");
  expect(bug).toMatchObject({ code: 1, out: holding("fail  store: could not be checked: oops") });
  home.runtime.store.write((sql) => sql.run("UPDATE migrations SET minReader = 99"));
  home.runtime.store.close();
  expect((await doctor(home)).lines.get("store")).toMatchObject({ state: "fail", text: holding("newer shim") });
});

it("a folder that is none fails before anything is stored, as nothing can be saved there", async () => {
  const home = aCliHome();
  const file = join(home.folder, "file");
  writeFileSync(file, "");
  for (const place of [file, join(file, "deeper", "shim")]) {
    const { code, lines } = await doctor(home, { env: { ...home.runtime.env, SHIM_HOME: place } });
    const fault = { state: "fail", text: holding(`${file} is not a folder`), fix: holding("SHIM_HOME") };
    expect([code, lines.get("folder")]).toMatchObject([1, fault]);
  }
  expect((await doctor(home)).lines.get("folder")).toMatchObject({ state: "ok" });
});

it.skipIf(process.getuid?.() === 0)("a folder that is read-only fails, also while it is to be made", async () => {
  const home = aCliHome();
  const folder = join(home.folder, "read-only");
  mkdirSync(folder, { mode: 0o500 });
  for (const place of [folder, join(folder, "shim")]) {
    const { code, lines } = await doctor(home, { env: { ...home.runtime.env, SHIM_HOME: place } });
    const fault = { state: "fail", text: holding(`${folder} cannot be written to`) };
    expect([code, lines.get("folder")]).toMatchObject([1, fault]);
  }
});

it("what SQLite's own check finds is a failure", async () => {
  const home = aSeededHome();
  home.runtime.store.close();
  // In the index of journal keys the two texts stand side by side; with one changed a row is missing from it.
  const file = readFileSync(home.paths.database);
  file.write("k9", file.indexOf(`${ids.dead}k1`) + ids.dead.length);
  writeFileSync(home.paths.database, file);
  const { code, lines } = await doctor(home);
  const { database, backups } = home.paths;
  // A log that is left beside a copied database would damage it.
  const fix = holding("Close all chats", `delete ${database}, ${database}-wal and ${database}-shm`, backups);
  const fault = { state: "fail", text: holding("is damaged: "), fix };
  expect([code, lines.get("store")]).toMatchObject([1, fault]);
});

it("schemas of other versions are reported", async () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) =>
    sql.run("INSERT INTO migrations (id, name, minReader, appliedAt) VALUES (99, 'later', 0, 0)"),
  );
  expect((await doctor(home)).lines.get("schema")).toMatchObject({ state: "warn" });
  const older = aCliHome();
  mkdirSync(dirname(older.paths.database), { recursive: true });
  writeFileSync(older.paths.database, "");
  const connection = openBetterSqlite3({ path: older.paths.database, readOnly: false, busyMs: 0 });
  connection.script("PRAGMA journal_mode = WAL; PRAGMA user_version = 1");
  connection.close();
  expect((await doctor(older)).lines.get("schema")).toMatchObject({
    state: "ok",
    text: `version ${migrations.length}`,
  });
});

/** The failures by their names; nothing that doctor has made may be left. */
async function failures(home: CliHome): Promise<Map<string, Line>> {
  const ran = await home.shim("doctor --json");
  const { checks } = ran.json() as { checks: Line[] };
  const failed = checks.filter(({ state }) => state === "fail");
  expect(ran.code === 0).toBe(failed.length === 0);
  expect(readdirSync(home.paths.home).filter((name) => name.startsWith("doctor-"))).toEqual([]);
  return new Map(failed.map((line) => [line.name, line]));
}

function aHomeOn(test: Parameters<typeof smallDisk>[0], megabytes: number, options: DiskOptions = {}): CliHome {
  const home = aCliHome();
  smallDisk(test, megabytes, { ...options, at: home.paths.home });
  return home;
}

function fill(home: CliHome, make: (path: string) => void): void {
  try {
    for (let n = 0; n < 10_000; n++) make(join(home.paths.home, `ballast-${n}`));
  } catch {
    // It is full.
  }
}

it("doctor fails where hardly an inode is free, and where none is", async (test) => {
  const home = aHomeOn(test, 64, { inodes: 60 });
  expect([...(await failures(home)).keys()]).toEqual([]);
  for (let n = 0; n < 45; n++) writeFileSync(join(home.paths.home, `ballast-${n}`), "");
  const few = await failures(home);
  expect([...few.keys()]).toEqual(["disk_space"]);
  expect(few.get("disk_space")?.text).toMatch(/^1\d of 60 inodes free/);
  fill(home, (path) => writeFileSync(path, ""));
  const none = await failures(home);
  expect(none.get("disk_space")?.text).toMatch(/^0 of 60 inodes free/);
  expect(none.get("folder")?.text).toContain("ENOSPC");
  expect(none.get("folder")?.fix).toContain("SHIM_HOME");
});

it("doctor fails where the disk takes nothing more @night", async (test) => {
  const home = aHomeOn(test, 60);
  expect([...(await failures(home)).keys()]).toEqual([]);
  fill(home, (path) => writeFileSync(path, Buffer.alloc(4_000_000)));
  const full = await failures(home);
  expect(full.get("disk_space")?.fix).toContain("Free some space");
  expect(full.get("folder")?.text).toContain("ENOSPC");
});

it("doctor fails where the folder of the store became read-only", async (test) => {
  const home = aHomeOn(test, 64);
  seed(home);
  home.runtime.store.close();
  remount(home.paths.home, "ro");
  const failed = await failures(home);
  expect(failed.get("folder")?.text).toContain("cannot be written to (EROFS");
  expect(failed.get("store")?.text).toContain("the folder or the file is read-only");
  remount(home.paths.home, "rw");
});

it("doctor fails where the file of the store alone is read-only", async (test) => {
  const home = aSeededHome();
  home.runtime.store.close();
  readOnlyFile(test, home.paths.database);
  const failed = await failures(home);
  expect([...failed.keys()]).toEqual(["store"]);
  expect(failed.get("store")?.text).toContain(`${home.paths.database} is sound, but cannot be written to (EROFS`);
});

it("a service of experiments that cannot assign is shown, with the command that installs its package @night", async () => {
  const home = aCliHome();
  expect((await doctor(home)).lines.has("experiments")).toBe(false);
  const runtime = aServiceRuntime({ provider: "statsig" });
  const io = { launch: runtime.launch };
  expect((await home.shim("config set experiments.provider statsig")).code).toBe(0);
  expect((await doctor(home, io)).lines.get("experiments")).toMatchObject({ state: "ok", text: holding("statsig") });
  const missing = "Assignment by Statsig needs a package that is not installed: npm install @statsig/serverless-client";
  runtime.serve(`answer({ arms: [], problems: ["${missing}"] });`);
  const { code, lines } = await doctor(home, io);
  expect(lines.get("experiments")).toMatchObject({
    state: "warn",
    text: holding("statsig cannot assign"),
    fix: `npm install --prefix ${home.paths.home} @statsig/serverless-client`,
  });
  expect(code).toBe(0);
  runtime.serve(`answer({ arms: [], problems: ["The environment has no MY_KEY."] });`);
  expect((await doctor(home, io)).lines.get("experiments")?.fix).toContain("kaizen.md");
});

it("a key is no name of an environment variable, and is refused", async () => {
  const home = aCliHome();
  expect((await home.shim("config set experiments.statsigKeyEnv secret-a1b2")).code).toBe(2);
  expect((await home.shim("config set experiments.statsigKeyEnv STATSIG_KEY")).code).toBe(0);
});
