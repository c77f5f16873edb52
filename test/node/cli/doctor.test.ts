import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { hostSocket, prepareSocketFolder } from "#src/platform/host-socket.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import type { Io } from "#src/cli/io.ts";
import { backUp } from "#src/store/copy-store.ts";
import * as notices from "#src/store/notices.ts";
import { pause } from "#src/store/pause.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { makeRepository, write } from "#harness/machine/git-project.ts";
import { StoreError } from "#src/store/store-error.ts";
import { aCliHome, addSession, addSnapshot, aSeededHome, type CliHome } from "#harness/machine/cli-home.ts";
import { failed, holding, ids, launchIn, printed, seed, throwing, withRuntime } from "#harness/machine/cli-home.ts";
import { column } from "#harness/store/store-test.ts";
import { rowCount } from "#harness/machine/claude.ts";
import { remount, smallDisk } from "#harness/store/small-disk.ts";
import type { MachineOutput } from "#src/contract/machine/operations.ts";
import type { OutputOf } from "#src/contract/operations.ts";
import { version } from "#src/contract/version.ts";
import { edgeConfigPath } from "#src/coordinator-client/edge-config.ts";
import { teamCalls } from "#src/store/team-tables.ts";
import { RealServer } from "#harness/edge/real-server.ts";
import { given } from "#harness/coordinator/peers.ts";
import { aChat, sync, twoCliHomes } from "#harness/machine/cli-rigs.ts";
import { SyncServer, tokenOf } from "#harness/sync/sync-machine.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

/** The exit code is that of the worst line, and a line that is not ok says what to do. */
async function doctor(home: CliHome, io: Partial<Io> = {}, options = "") {
  const ran = await home.shimWith(io, `doctor --json ${options}`);
  const { checks, isHealthy } = ran.json() as MachineOutput<"checks.run">;
  expect([ran.code, isHealthy]).toEqual(checks.some(({ state }) => state === "fail") ? [1, false] : [0, true]);
  for (const line of checks) expect([line.name, line.state === "ok"]).toEqual([line.name, line.fix === null]);
  const lines = new Map(checks.map((line) => [line.name, line]));
  const namesOf = (state: string): string[] =>
    [...lines.values()].flatMap((line) => (line.state === state ? line.name : [])).toSorted();
  return { code: ran.code, lines, namesOf };
}

function connect(home: CliHome): Promise<unknown> {
  mkdirSync(join(home.folder, ".claude"));
  return home.shim("init --yes");
}

it("a healthy machine has only ok lines, and answers 0", async () => {
  const home = aCliHome();
  await connect(home);
  addSession(home, { id: ids.finished });
  home.runtime.store.write((sql) => reportEnd(sql, home.runtime, ids.finished, "prompt_input_exit"));
  await backUp(home.runtime.store, home.now, 5);
  const healthy = printed("ok    node: Node 24.1.0", /\d+ ok, 0 warnings, 0 failures\n$/);
  expect(await home.shim("doctor")).toMatchObject(healthy);
});

it("a schema of a newer shim, and events that were only stored, are warnings", async () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) => {
    sql.run("INSERT INTO migrations VALUES (9999, 'later', 1, 0)");
    journal.append(sql, ids.dead, home.now, "u", { kind: "unread", of: "prompt", text: "" });
  });
  const { lines } = await doctor(home);
  const known = home.runtime.store.context.migrations.length;
  const newer = `version 9999, made by a newer shim (this one knows ${known})`;
  expect(lines.get("schema")).toMatchObject({ text: newer, fix: "It works; update this copy when you can." });
  const fix = `\`shim sessions show ${ids.dead}\` shows them; please report what they have in common.`;
  const unread = "1 event took too long to read this week and were only stored";
  expect(lines.get("unread")).toMatchObject({ text: unread, fix });
});

it("the service that assigns sessions to trials is asked, and what it lacks is said with its cure", async () => {
  const home = aCliHome();
  await home.shim("config set experiments.provider statsig");
  const node = join(home.folder, "service");
  const launch = { ...launchIn(home.folder), node };
  const found = async (...problems: string[]): Promise<unknown> => {
    const answer = JSON.stringify({ arms: [], problems });
    writeFileSync(node, `#!/bin/sh\ncat > /dev/null\necho '${answer}' >&3\n`, { mode: 0o755 });
    return (await doctor(home, { launch })).lines.get("experiments");
  };
  const name = "experiments";
  expect(await found()).toEqual({ name, state: "ok", text: "sessions of trials are assigned by statsig", fix: null });
  for (const [problem, fix] of [
    ["No key.", "See docs/guide/kaizen.md, or `shim config unset experiments.provider`."],
    ["It lacks: npm install @a/b", `npm install --prefix ${home.paths.home} @a/b`],
  ] as const) {
    const text = `statsig cannot assign: ${problem} Sessions that begin are in no trial.`;
    expect(await found(problem)).toEqual({ name, state: "warn", text, fix });
  }
});

it("a damaged store whose repair cannot end is a failure, and not called new, however often it is asked", async () => {
  const home = aSeededHome();
  home.runtime.store.close();
  write(home.paths.home, { "shim.db": "x", backups: "no folder" });
  const fault = { state: "fail", text: holding("not a directory") };
  for (let n = 0; n < 2; n++) expect((await doctor(home)).lines.get("store")).toMatchObject(fault);
});

it("it warns of what needs attention, each with what to do", async () => {
  const home = aSeededHome();
  answerHook(home.runtime, "UserPromptSubmit", () => "no json", 1);
  home.runtime.store.write((sql) => {
    notices.add(sql, home.now, "x", "the store was damaged");
    pause(sql, home.now, null, null);
  });
  addSnapshot(home, { reason: "git failed" });
  write(home.paths.home, { "spool/1-2-3.json": "{}" });
  const fallback = withRuntime(home.runtime, "better-sqlite3 could not be loaded");
  const { lines, namesOf } = await doctor(home, { ...fallback, versionOf: () => null });
  const named = "backups clients git hook_input incomplete notice paused snapshots spool sqlite";
  expect(namesOf("warn")).toEqual(named.split(" "));
  const unread = "1 input of hooks could not be read whole, at .* of Claude Code: input is not JSON";
  expect(lines.get("hook_input")?.text).toMatch(new RegExp(`^${unread}`));
  expect(lines.get("incomplete")?.text).toBe("2 sessions died unfinished");
});

it("a backup, the newest saved files and the mark of the newest write are looked at before they are called good", async () => {
  const home = aSeededHome();
  const { store } = home.runtime;
  const backup = await backUp(store, home.now, 5);
  const textOf = async (name: string): Promise<string | undefined> => (await doctor(home)).lines.get(name)?.text;
  expect(await textOf("backups")).toMatch(/, 0 s ago, is sound$/);
  truncateSync(backup, 40_960);
  expect((await doctor(home)).lines.get("backups")).toMatchObject({ state: "warn", text: holding("is damaged (") });
  expect(await textOf("snapshots")).toBe("no failure this week");
  addSnapshot(home, { state: "done", repository: join(home.folder, "gone.git") });
  store.write((sql) => sql.run(`UPDATE snapshots SET "commit" = '${"a1".repeat(20)}'`));
  expect((await doctor(home)).lines.get("snapshots")).toMatchObject({
    state: "warn",
    text: holding("are gone: commit a1a1"),
  });
  const repository = join(home.folder, "kept");
  const commit = makeRepository(repository, { a: "1" });
  addSnapshot(home, { state: "done", repository: join(repository, ".git") });
  store.write((sql) => sql.run('UPDATE snapshots SET "commit" = ?', commit));
  expect(await textOf("snapshots")).toBe("no failure this week, and the newest is there");
  writeFileSync(join(repository, ".git", "HEAD"), "");
  expect((await doctor(home)).lines.get("snapshots")).toMatchObject({ state: "warn", text: holding("cannot read") });
  expect(await textOf("store")).toBe(`${home.paths.database} is sound and has the newest write`);
  rmSync(`${home.paths.database}.mark`);
  expect(await textOf("store")).toContain("whether it has the newest write is not known");
});

it("an old Node, readable files, invalid settings and a broken client fail, and it answers 1", async () => {
  const home = aCliHome();
  await connect(home);
  seed(home);
  rmSync(join(home.folder, "app"), { recursive: true });
  chmodSync(home.paths.database, 0o644);
  chmodSync(home.paths.home, 0o750);
  writeFileSync(home.paths.config, '{ "recovry": "ask" }', { mode: 0o600 });
  const { lines, namesOf } = await doctor(home, { nodeVersion: "20.20.0" });
  expect(namesOf("fail")).toEqual(["claude-code:script_missing", "config", "node", "permissions"]);
  expect(lines.get("config")?.text).toContain("recovry");
  expect(lines.get("permissions")?.text).toBe(`others can read ${home.paths.home}, ${home.paths.database}`);
  chmodSync(home.paths.home, 0o700);
  expect((await doctor(home)).lines.get("permissions")).toMatchObject({ state: "ok" });
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

it("Codex that cannot be asked for the trust of SHIM's hooks is a warning with what to look at", async () => {
  const home = aCliHome();
  mkdirSync(join(home.folder, ".codex"));
  writeFileSync(join(home.folder, "path", "codex"), "#!/bin/sh\nread question\n", { mode: 0o755 });
  await home.shim("init --yes");
  const text = "Codex could not be asked whether it trusts SHIM's hooks: `codex app-server` ended without an answer";
  const fix = "Start `codex`, type /hooks, and look at those of SHIM.";
  const trust = { name: "codex:hook_trust", state: "warn", text, fix };
  expect((await doctor(home)).lines.get("codex:hook_trust")).toEqual(trust);
});

it("a folder that is none fails before anything is stored, as nothing can be saved there", async () => {
  const home = aCliHome();
  const file = join(home.folder, "file");
  writeFileSync(file, "");
  const at = (SHIM_HOME: string) => ({ env: { ...home.runtime.env, SHIM_HOME } });
  const { code, lines } = await doctor(home, at(join(file, "deeper", "shim")));
  const fault = { state: "fail", text: holding(`${file} is not a folder`), fix: holding("SHIM_HOME") };
  expect([code, lines.get("folder")]).toMatchObject([1, fault]);
  const refused = failed(2, `SHIM_HOME gives "${file}", which is not a folder. Set SHIM_HOME to one`);
  for (const command of ["doctor", "sessions", "pause 1m"])
    expect(await home.shimWith(at(file), command)).toMatchObject(refused);
  expect((await doctor(home)).lines.get("folder")).toMatchObject({ state: "ok" });
});

it.each([
  ["counts the chats that are connected", {}, "ok", "process 7 serves 2 chats"],
  ["says nothing of a chat without events that has just begun", { ms: 50_000 }, "ok", "process 7 serves 2 chats"],
  [
    "names a chat of which no event has come: its hooks may be off",
    { ms: 300_000 },
    "warn",
    "process 7 serves 2 chats; no event has come of Claude Code (process 12), for 5 min",
  ],
])("of a running host it %s", async (_what, { ms }: { readonly ms?: number }, state, text) => {
  const home = aCliHome();
  const silent = ms === undefined ? null : { client: "Claude Code", ms, isAtWork: false };
  const chats = [
    ...[true, false].map((isConnected) => ({ front: 1, client: null, isConnected, silent: null })),
    { front: 2, client: 12, isConnected: true, silent },
  ];
  const status = JSON.stringify({ pid: 7, version: "1", startedAt: 0, chats });
  const server = createServer((_request, response) => response.end(status));
  const socket = hostSocket(home.paths.home, systemProcesses.boot());
  prepareSocketFolder(home.paths.home, socket);
  await once(server.listen(socket), "listening");
  onTestFinished(() => void server.close());
  expect((await doctor(home)).lines.get("host")).toMatchObject({ state, text });
});

it.each(["an index that lacks a row", "a page of a table that no event reads"])(
  "damage that SQLite's own check finds is repaired at once, and said: %s",
  async (damage) => {
    const home = aSeededHome();
    const query = "SELECT rootpage FROM sqlite_schema WHERE name = 'team_news'";
    const page = home.runtime.store.read((sql) => Number(column(sql, query)[0]), 0);
    const rows = rowCount(home.runtime, "sessions");
    home.runtime.store.close();
    const file = readFileSync(home.paths.database);
    // In the index of journal keys the two texts stand side by side; with one changed a row is missing from it.
    if (damage.includes("index")) file.write("k9", file.indexOf(`${ids.dead}k1`) + ids.dead.length);
    else file.fill(0, (page - 1) * 4_096, page * 4_096);
    writeFileSync(home.paths.database, file);
    const { code, lines } = await doctor(home);
    expect([code, lines.get("store")?.text]).toEqual([0, holding("is sound")]);
    expect(lines.get("notice")).toMatchObject({ state: "warn", text: holding("The store was damaged") });
    expect(rowCount(home.runtime, "sessions")).toBe(rows);
  },
);

it("doctor fails where the disk of the store is full, or became read-only", async (test) => {
  const home = aCliHome();
  smallDisk(test, 64, home.paths.home);
  seed(home);
  expect((await doctor(home)).lines.get("disk_space")?.state).toBe("warn");
  writeFileSync(join(home.paths.home, "large"), Buffer.alloc(20_000_000));
  const full = { state: "fail", fix: holding("soon nothing can be saved") };
  expect((await doctor(home)).lines.get("disk_space")).toMatchObject(full);
  home.runtime.store.close();
  remount(home.paths.home, "ro");
  const { lines } = await doctor(home);
  expect(lines.get("folder")).toMatchObject({ state: "fail", text: holding("is read-only") });
  expect(lines.get("store")).toMatchObject({ state: "fail", text: holding("the folder or the file is read-only") });
  expect(readdirSync(home.paths.home).filter((name) => name.startsWith("doctor-"))).toEqual([]);
  remount(home.paths.home, "rw");
});

it("a channel of notify that cannot work here is a line of doctor, and config set says so at once", async () => {
  const home = aCliHome();
  const set = await home.shim("config set notify.desktop true");
  expect(set).toMatchObject({ code: 0, out: "notify.desktop is true\n" });
  expect(set.err).toContain("notify-send was not found: nothing is shown");
  const { lines } = await doctor(home);
  expect(lines.get("notify_desktop")?.state).toBe("warn");
  const bin = join(home.folder, "bin");
  write(bin, { "notify-send": "" });
  chmodSync(join(bin, "notify-send"), 0o755);
  const withDesktop = await doctor(home, { env: { ...home.runtime.env, PATH: bin } });
  expect(withDesktop.lines.get("notify_desktop")?.state).toBe("ok");
});

const hour = 3_600_000;
const healthPath = "/v1/workspaces/team/health";

/** Lines by name, without the "workspace:" before it. */
async function checksOf(home: CliHome, io: Partial<Io> = {}) {
  const { lines } = await doctor(home, io, "--workspace");
  return new Map([...lines].map(([name, line]) => [name.replace("workspace:", ""), line]));
}

/** A machine of a workspace on the real engine, whose host and Worker say what a test sets. */
async function aMember() {
  const server = await SyncServer.listen();
  const home = aCliHome();
  home.now = server.host.now();
  home.join(server.url, { token: tokenOf("m1") });
  const say = (health: Partial<OutputOf<"health">>): void => {
    server.fixed[healthPath] = { ...(server.fixed[healthPath] as object), ...health };
  };
  const sayTime = (now: number): void => void (server.fixed["/health"] = { version: "d1", shim: version, now });
  sayTime(home.now);
  return { server, home, say, sayTime };
}

it("a value beyond its bound fails with what to do, and one at its bound does not", async () => {
  const { server, home, say } = await aMember();
  const storage = { bytes: 7e9, limitBytes: 10e9, state: "normal" } as const;
  say({ storage, alarmInMs: -60_000, overdueRows: 3 });
  given(await server.host.call("tasks.submit", { tasks: [{ type: "build" }] }));
  const call = { session: "s1", workspace: "w", name: "tasks.ack", input: {}, at: home.now } as const;
  home.runtime.store.write((sql) => teamCalls.insert(sql, call));
  const states = async (ms: number): Promise<(string | undefined)[]> => {
    server.host.wait(ms);
    home.now += ms;
    const checks = await checksOf(home);
    return ["storage", "alarm", "tasks", "sync"].map((name) => checks.get(name)?.state);
  };
  expect(await states(hour)).toEqual(["ok", "ok", "ok", "warn"]);
  say({ storage: { ...storage, bytes: 7.1e9 }, alarmInMs: -61_000 });
  expect(await states(1_000)).toEqual(["fail", "fail", "fail", "fail"]);
  expect((await home.shim("doctor --workspace")).out).toContain("fail  workspace:storage: 7,100 MB of 10,000 MB");
});

it("of a coordinator that does not answer it says so, and what waits to be sent with the age of the oldest", async () => {
  const { server, here } = await twoCliHomes(() => undefined);
  await sync(here);
  server.isDown = true;
  addSession(here, { id: ids.dead });
  here.now += 2 * hour;
  const checks = await checksOf(here);
  expect([...checks.keys()]).toEqual(["workspace", "sync"]);
  const fix = holding(`See whether ${server.url} is the coordinator`);
  expect(checks.get("workspace")).toMatchObject({ state: "fail", text: holding(`${server.url} did not answer`), fix });
  expect(checks.get("sync")).toMatchObject({ state: "fail", text: holding("the oldest for 2 h") });
});

it("an address that cannot be used, a damaged file and a refused token are named with what to do", async () => {
  const home = aCliHome();
  home.join("http://example.com");
  expect((await checksOf(home)).get("workspace")?.text).toContain("plain http:// is only for this machine");
  writeFileSync(edgeConfigPath(home.paths.home), "{");
  expect((await checksOf(home)).get("workspace")).toMatchObject({ state: "fail", fix: holding("workspace leave") });
  expect(await home.shim("doctor --workspace --acknowledge")).toMatchObject(failed(2, "cannot be used with"));
  const server = await RealServer.listen();
  home.join(server.url);
  for (const [status, code] of [
    [401, "unauthenticated"],
    [403, "forbidden"],
  ] as const) {
    const error = { code, message: `no: ${code}`, retryable: false };
    server.answer = (_request, response) => void response.writeHead(status).end(JSON.stringify({ error }));
    const fix = holding("token create --machine m1`", `shim workspace join team --url ${server.url}`);
    expect((await checksOf(home)).get("workspace")).toMatchObject({ state: "fail", text: `no: ${code}`, fix });
  }
});

it("what the coordinator refuses fails the check that needs it alone", async () => {
  const { server, home } = await aMember();
  const fix = "Remove the cause that the message names, then run `shim doctor` again.";
  const refused = { state: "fail", text: "could not be checked: not in its scope", fix };
  for (const [path, name] of [
    ["/metrics/samples", "tasks"],
    ["/chats", "versions"],
  ] as const) {
    server.refuses = path;
    const checks = await checksOf(home);
    expect(checks.get(name)).toMatchObject(refused);
    expect([...checks].flatMap(([one, { state }]) => (state === "fail" ? [one] : []))).toEqual([name]);
  }
});

it("the clock's difference is bounded by the round trip, and fails only where it is certainly too large", async () => {
  const { home, sayTime } = await aMember();
  const start = home.now;
  for (const [ahead, state, text] of [
    [300, "ok", "is at most 0.3 s ahead of the coordinator's, and at most 0.2 s behind"],
    [5_500, "ok", "is 5.0 to 5.5 s ahead"],
    [5_501, "fail", "ahead"],
    [-5_000, "ok", "is 5.0 to 5.5 s behind"],
    [-5_001, "fail", "behind"],
  ] as const) {
    // The first reading is for what waits, the next two are before the question and, half a second later, after it.
    const passed = [0, 0, 500];
    sayTime(start + 500 - ahead);
    const checks = await checksOf(home, { now: () => start + (passed.shift() ?? 500) });
    expect([ahead, checks.get("clock")]).toMatchObject([ahead, { state, text: holding(text) }]);
  }
});

it("of a machine that has joined no workspace it checks its own coordinator", async () => {
  const home = aCliHome();
  await home.json("task submit", "build");
  home.now += 2 * hour;
  const checks = await checksOf(home);
  const own = { state: "ok", text: `this machine's own, SHIM ${version}` };
  const tasks = { state: "fail", text: "1 task queued, the oldest ready for 2 h" };
  const rows = { state: "ok", text: "written rows are not counted, and cost nothing here" };
  expect(["coordinator", "tasks", "rows"].map((name) => checks.get(name))).toMatchObject([own, tasks, rows]);
  for (const name of ["sync", "clock"]) expect([...checks.keys()]).not.toContain(name);
});

function others(machine: string): string {
  return `Update SHIM on ${machine}, or the coordinator; versions serve each other meanwhile.`;
}

it("the coordinator's version and size, the cost of a month and the versions of others are said with what to do", async () => {
  const { server, home, say } = await aMember();
  const storage = { bytes: 6e9, limitBytes: 10e9, state: "normal" } as const;
  say({ rowsThisMonth: 72_000_000, storage });
  for (const [chat, machine, more] of [
    ["a", "m-a", { version }],
    ["b", "m-b", { version: "0.0.1" }],
    ["c", "m-c", {}],
  ] as const) {
    const row = { ...aChat(chat, machine), metadata: more };
    given(await server.host.call("chats.register", row, { machine, isAdmin: false }));
  }
  const checks = await checksOf(home);
  const row = (name: string) => [checks.get(name)?.state, checks.get(name)?.text, checks.get(name)?.fix ?? null];
  // 22 million rows at a dollar a million, and 1 GB at 0.20 dollars.
  const cost = "by an estimate, with its storage, 22.20 dollars beyond the plan's 5";
  expect(row("rows")).toEqual(["ok", holding("72,000,000 rows written this month", cost), null]);
  const own = `${server.url} answers in 0 ms: SHIM ${version}, deployment d1; this machine has SHIM ${version}`;
  expect(row("coordinator")).toEqual(["ok", own, null]);
  const listed = `machines with live chats: m-b 0.0.1, m-a ${version}, m-c unknown`;
  expect(row("versions")).toEqual(["warn", listed, others("m-b")]);
  server.fixed["/health"] = { shim: "0.0.1" };
  say({ storage: { ...storage, state: "full" } });
  const { out } = await home.shim("doctor --workspace");
  const older = `SHIM 0.0.1; this machine has SHIM ${version}\n      fix: Update the older one: the coordinator by \`npm run`;
  const full =
    /fail {2}workspace:storage: 6,000 MB of 10,000 MB \(.*\): growth is refused\n {6}fix: Delete what is not/;
  expect(out).toEqual(holding(older, full, `m-a ${version}, m-b 0.0.1, m-c unknown\n      fix: ${others("m-a")}\n`));
  expect(out).not.toContain("workspace:clock");
});
