import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import type { Io } from "#src/cli/io.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { findSupervisor } from "#src/platform/supervisor-mark.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { lockFile } from "#src/store/file-lock.ts";
import type { HostConnection } from "#src/machine/operations/operation-context.ts";
import { recordDeaths } from "#src/machine/recovery/incomplete/deaths.ts";
import { teamChats } from "#src/store/team-tables.ts";
import { hostClientWith } from "#harness/machine/host-client.ts";
import {
  linesOf,
  aCliHome,
  addSession,
  failed,
  holding,
  ids,
  withRuntime,
  type CliHome,
} from "#harness/machine/cli-home.ts";

const node = process.execPath;
const says = `const say = (event) => console.log(JSON.stringify(event));
process.stdin.on("data", (text) => String(text).includes('"interrupt"') && process.exit(1));
`;

/** Stands for Claude Code, and does this. */
function claude(script: string): object {
  const program = join(temporaryFolder(), "claude");
  writeFileSync(program, `#!${node}\n${says}${script}`, { mode: 0o755 });
  return { kind: "claude", folder: ".", prompt: "Make it.", program };
}

/** It says a word, and is done. */
const done = `const content = [{ type: "text", text: "made " + process.cwd() }];
say({ type: "assistant", message: { id: "m", content }, parent_tool_use_id: null });
say({ type: "result", subtype: "success", is_error: false, result: "made" });
process.exit();`;
const idle = "setInterval(() => 0, 1000);";

function aHome(settings?: object | string): CliHome {
  const home = aCliHome();
  home.alive.add(process.pid);
  home.runtime.env["PATH"] = `${join(home.folder, "path")}:${process.env["PATH"]}`;
  mkdirSync(home.paths.home, { recursive: true });
  const text = typeof settings === "string" ? settings : JSON.stringify(settings, null, 1);
  if (settings !== undefined) writeFileSync(join(home.paths.home, "supervisor.json"), text);
  return home;
}

/** A supervisor in this process: `until` sees each thing that it prints and says when it is asked to end. */
function supervise(
  home: CliHome,
  until: (out: string) => boolean,
  more: Partial<Io> = {},
  format = "--json",
): ReturnType<CliHome["shim"]> {
  let interrupt: (() => void) | null = null;
  let out = "";
  const looks = { isAsked: false };
  const wait: Io["wait"] = async (ms, signal) => {
    await pause(5);
    if (!signal.aborted) home.now += Math.min(ms, 1_000);
    if (!looks.isAsked && until(out)) {
      looks.isAsked = true;
      interrupt?.();
    }
  };
  const onInterrupt: Io["onInterrupt"] = (heed) => {
    interrupt = heed;
    return () => undefined;
  };
  const io = home.io({ wait, onInterrupt, ...more });
  const stdout = (text: string): void => {
    out += text;
    io.stdout(text);
  };
  return home
    .shimWith({ wait, onInterrupt, stdout, ...more }, `worker supervise ${format}`)
    .then((ran) => ({ ...ran, out }));
}

type Told = { readonly event: string; readonly [field: string]: unknown };

it("it does what supervisor.json says, reports it line by line, and ends when it is asked to", async () => {
  const home = aHome({
    watch: { once: claude(done), idle: claude(idle) },
  });
  const ran = await supervise(home, (out) => out.includes('"finished"'));
  expect([ran.code, ran.err]).toEqual([0, ""]);
  const told = linesOf<Told>(ran.out);
  expect(told[0]).toMatchObject({ event: "supervising", pid: process.pid, watched: ["once", "idle"] });
  const output = { event: "output", name: "once", text: `made ${home.paths.home}` };
  expect(told).toContainEqual(expect.objectContaining(output));
  expect(told.filter(({ event }) => event === "ended")).toMatchObject([
    { name: "once", phase: "finished" },
    { name: "idle", phase: "due" },
  ]);
  expect(told.at(-1)).toEqual({ event: "over" });
  const program = { kind: "claude", session: expect.any(String) as string };
  const left = { phase: "due", reason: "it ended with its supervisor", againInMs: 0 };
  const { watched, pid } = await home.json("worker supervise status");
  expect(pid).toBeNull();
  expect(watched).toEqual([
    { ...program, name: "once", phase: "finished", reason: null, againInMs: null },
    { ...program, name: "idle", ...left },
  ]);
});

const aClaude = (more: string): string => `{"watch": {"a": {"kind": "claude", "folder": ".", "prompt": "x", ${more}}}}`;

it("what is wrong in the settings is said, with its line, and nothing is started @night", async () => {
  expect(await aHome().shim("worker supervise")).toMatchObject(failed(3, /there is no .*supervisor\.json.*"watch"/s));
  for (const [text, said] of [
    ["{", /line 1/],
    ['{"watch": {}}', /line 1: watch: name something/],
    ['{\n"watch": {"a": {"kind": "nothing"}}}', /line 2: watch\.a\.kind: one of /],
    ['{\n"watch": {"a": {"kind": "worker"}}}', /line 2: watch\.a\.args: is missing/],
    ['{"watch": {"A b": {"kind": "sessions"}}}', /lowercase letters/],
    ['{"watch": {"a": {"kind": "sessions"}},\n"memory": 1}', /line 2: no such field: "memory"/],
    [aClaude('"program": "no-such-program"'), /a: there is no program no-such-program/],
    ['{"watch": {"a": {"kind": "sessions", "restartWith": ["no-such"]}}}', /a: there is no program no-such/],
    [
      '{"watch": {"a": {"kind": "worker", "args": ["--once"], "folder": "nowhere"}}}',
      /a: there is no folder .*nowhere/,
    ],
    [aClaude('"args": ["--resume=x"]'), /a\.args: SHIM sets -p, the session and the output format itself/],
  ] as const) {
    const home = aHome(text);
    expect([text, await home.shim("worker supervise")]).toMatchObject([text, { ...failed(2, said), out: "" }]);
    expect((await home.shim("worker supervise status")).code).toBe(2);
  }
  const damaged = aHome({ watch: { a: claude(done) } });
  mkdirSync(join(damaged.paths.home, "supervisor"));
  writeFileSync(join(damaged.paths.home, "supervisor", "state.json"), "{");
  expect(await damaged.shim("worker supervise")).toMatchObject(failed(1, /state\.json is damaged: remove it/));
  expect(findSupervisor(damaged.paths.home, damaged.runtime.processes)).toBeNull();
});

it("a second supervisor is refused with the pid of the first; what a dead one has left blocks none @night", async () => {
  const home = aHome({ watch: { a: claude(done) } });
  const folder = join(home.paths.home, "supervisor");
  const owner = join(folder, "owner.json");
  const lock = lockFile(join(folder, "lock"), openBetterSqlite3);
  expect(await home.shim("worker supervise")).toMatchObject(failed(1, /already running\. .*supervise stop/));
  home.alive.add(4_000);
  writeFileSync(owner, JSON.stringify({ boot: "boot-1", pid: 4_000, start: "s4000" }));
  expect(await home.shim("worker supervise")).toMatchObject(failed(1, /already running, pid 4000.*supervise stop/));
  expect((await home.shim("worker supervise status")).out).toMatch(
    /^Supervisor: pid 4000\.\nNAME.*STATE\na +claude +not started yet/,
  );
  // In another container that shares the home.
  writeFileSync(owner, JSON.stringify({ boot: "boot-1 pid:[2]", pid: 1, start: "s1" }));
  expect((await home.shim("worker supervise stop")).err).toMatch(/runs in another container/);
  lock?.close();
  for (const other of [
    { boot: "boot-1", pid: 4_000, start: "s4000" },
    { boot: "boot-0", pid: 4_000, start: "s4000" },
    { boot: "boot-1 pid:[2]", pid: 1, start: "s1" },
    "no owner",
  ]) {
    writeFileSync(owner, JSON.stringify(other));
    expect((await supervise(home, () => true)).code).toBe(0);
  }
  expect(findSupervisor(home.paths.home, home.runtime.processes)).toBeNull();
});

it("of many that begin at once one supervises", async () => {
  const home = aHome({ watch: { chats: { kind: "sessions" } } });
  let refused = 0;
  const all = Array.from({ length: 5 }, async () => {
    const { code } = await supervise(home, () => refused === 4);
    if (code === 1) refused += 1;
    return code;
  });
  expect((await Promise.all(all)).toSorted((a, b) => a - b)).toEqual([0, 1, 1, 1, 1]);
});

it("retry is heard by the supervisor that runs, or by the next one; stop finds none @night", async () => {
  const home = aHome({ watch: { a: claude(done), chats: { kind: "sessions" } } });
  await supervise(home, (out) => out.includes('"finished"'));
  const out = "a starts again with the next `shim worker supervise`.\n";
  expect(await home.shim("worker supervise retry a")).toMatchObject({ code: 0, out });
  const ran = await supervise(home, (out) => out.includes('"finished"'));
  expect(linesOf<Told>(ran.out).filter(({ event }) => event === "started")).toHaveLength(1);
  for (const name of ["chats", "b"]) {
    const unknown = await home.shim("worker supervise retry", name);
    expect(unknown).toMatchObject(failed(3, /no program ".*" is watched\. There are: a\./));
  }
  expect(await home.shim("worker supervise stop")).toMatchObject(failed(3, /no supervisor is running/));
});

it("too much memory is a failure, so that a service starts it again", async () => {
  const home = aHome({ watch: { a: claude(idle) } });
  const facts = { parent: 1, start: "s", command: "node", residentBytes: 300 * 1_048_576 };
  const processes = { boot: () => "boot-1", facts: () => facts };
  const ran = await supervise(home, () => false, withRuntime({ ...home.runtime, processes }));
  expect(ran).toMatchObject(failed(1, /used more than 256 MB and has ended/));
});

it("the coordinator of this machine is notified of a chat that has died, and frees what it held", async () => {
  const home = aHome({ watch: { chats: { kind: "sessions" } } });
  home.alive.add(700);
  addSession(home, { id: ids.alive, pid: 700 });
  home.alive.add(701).add(702);
  addSession(home, { id: ids.dead, pid: 701 });
  const machine = hostname();
  const coordinator = home.coordinator(machine);
  // The second one's session has died, but not the process that is its chat.
  for (const [chat, sessionId, pid] of [
    ["c", ids.alive, 700],
    ["d", ids.dead, 702],
  ] as const) {
    const process = processKey({ boot: "boot-1", pid, start: `s${pid}` });
    const self = { chat, session: sessionId, process, machine, client: "claude-code" };
    expect(coordinator.call("chats.register", self).ok).toBe(true);
    const member = { session: sessionId, workspace: "local", chat, incarnation: 1, process };
    home.runtime.store.write((sql) => teamChats.put(sql, { ...member, at: 1 }));
  }
  const ran = await supervise(home, (out) => {
    if (out.includes('"supervising"') && home.alive.delete(700) && home.alive.delete(701))
      recordDeaths(home.runtime, () => true);
    return out.split('"died"').length === 3;
  });
  expect([ran.code, ran.err]).toEqual([0, ""]);
  // Read from the file itself: a question to the coordinator would find the death by itself.
  const files = openBetterSqlite3({
    path: join(home.paths.home, "coordination", "coordination.db"),
    readOnly: true,
    busyMs: 0,
  });
  const rows = files.all("SELECT * FROM chats ORDER BY chat");
  files.close();
  expect(rows).toMatchObject([
    { chat: "c", status: "offline", reason: "attested" },
    { chat: "d", status: "idle" },
  ]);
});

it("stop asks the supervisor to end and waits until it is gone", async () => {
  const home = aHome({ watch: { a: claude(done) } });
  const child = spawn(node, ["-e", "setInterval(() => 0, 1000)"], { stdio: "ignore" });
  const pid = child.pid ?? 0;
  home.alive.add(pid);
  const gone = once(child, "exit");
  void gone.then(() => home.alive.delete(pid));
  mkdirSync(join(home.paths.home, "supervisor"));
  const owner = { boot: "boot-1", pid, start: `s${pid}` };
  writeFileSync(join(home.paths.home, "supervisor", "owner.json"), JSON.stringify(owner));
  const { signal } = new AbortController();
  const ran = await home.shimWith({ interrupted: () => signal, wait: async () => pause(5) }, "worker supervise stop");
  expect([ran.code, ran.out]).toEqual([0, `Supervisor ${pid} has ended.\n`]);
  expect(await gone).toEqual([null, "SIGTERM"]);
});

it("for people each line bears the time; a reader that goes away ends it, as Ctrl-C does", async () => {
  const home = aHome({ watch: { once: claude(done) } });
  let leave: (() => void) | null = null;
  let out = "";
  const stdout = (text: string): void => void (out += text);
  const wait: Io["wait"] = async () => {
    await pause(5);
    home.now += 1_000;
    if (out.includes("finished")) leave?.();
  };
  const onReaderGone: Io["onReaderGone"] = (heed) => {
    leave = heed;
    return () => undefined;
  };
  const ran = await home.shimWith({ wait, onReaderGone, stdout }, "worker supervise");
  expect(ran.code).toBe(0);
  const lines = out.trimEnd().split("\n");
  expect(lines.map((line) => line.slice(20))).toEqual([
    holding(/^supervises once/),
    holding(/^once: started/),
    holding(/^once \| made /),
    holding(/^once: finished/),
    "ends (asked to end)",
  ]);
});

it("while it runs the host of the machine runs", async () => {
  const home = aHome({ watch: { chats: { kind: "sessions" } } });
  const connections: HostConnection[] = [];
  const stayConnected = async (connection: HostConnection): Promise<void> => {
    connections.push(connection);
    await once(connection.until, "abort");
  };
  const hostClient: Io["hostClient"] = () => ({ ...hostClientWith(home.runtime), stayConnected });
  const ran = await supervise(
    home,
    (out) => connections.length > 0 && out.includes("supervises"),
    { hostClient, isTty: true },
    "",
  );
  expect(ran.code).toBe(0);
  expect(connections.map(({ until }) => until.aborted)).toEqual([true]);
});

it("when it has ended, unread output keeps its process for two seconds at most", async () => {
  const home = aHome({ watch: { idle: claude(idle) } });
  const limits: number[] = [];
  const ran = await supervise(home, (out) => out.includes("started"), { leaveWithin: (ms) => void limits.push(ms) });
  expect([ran.code, limits]).toEqual([0, [2_000]]);
});
