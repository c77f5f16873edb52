import { EventEmitter } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { expect, it, onTestFinished, vi } from "vitest";
import { hostCalls } from "#src/local-mcp/host-client/host-calls.ts";
import { askOperation, hostClientOf } from "#src/local-mcp/host-client/host-client.ts";
import { hostSocket, linkSocket, markedHost, prepareSocketFolder } from "#src/platform/host-socket.ts";
import { askRunningHost } from "#src/local-mcp/host-client/running-host.ts";
import { OperationRunner } from "#src/local-mcp/host/operation-runner.ts";
import { systemSite } from "#src/local-mcp/host/system-site.ts";
import type { MachineOutput } from "#src/contract/machine/operations.ts";
import type { HostClient } from "#src/machine/context/operation-context.ts";
import { hostHere } from "#src/local-mcp/host/host-process.ts";
import { identify, systemProcesses } from "#src/platform/processes.ts";
import { pathsIn } from "#src/platform/paths.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { servedInTest } from "#harness/edge/real-server.ts";
import { ask, hostClientWith } from "#harness/machine/host-rig.ts";
import { patience } from "#harness/machine/programs.ts";
import type { LocalCalls } from "#src/runtime/runtime.ts";
import type { Result } from "#src/shared/result.ts";
import type { Io } from "#src/cli/io.ts";
import { invented, writeSession } from "#harness/clients/invented-sessions.ts";
import { aCliHome, failed, launchIn } from "#harness/machine/cli-home.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { remount, smallDisk } from "#harness/store/small-disk.ts";
import { tempHome } from "#harness/store/store-test.ts";
import { chmodSync, existsSync, mkdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { startHost, startMark } from "#src/local-mcp/host-client/reach-host.ts";

/** Asks a host that answers so. */
async function askWith(answer: (response: ServerResponse) => void, home = tempHome().home) {
  const socket = hostSocket(home, systemProcesses.boot());
  prepareSocketFolder(home, socket);
  const server = createServer((request, response) => void request.resume().once("end", () => answer(response)));
  await servedInTest(server, socket);
  const heard: unknown[] = [];
  const hear = (one: unknown) => void heard.push(one);
  const asked = { name: "sessions.name", input: {}, env: {}, by: "command line" } as const;
  const ask = (): Promise<Result<unknown>> =>
    askOperation({ home, launch: launchIn(home), env: process.env }, asked, { progress: hear, onSecretsRemoved: hear });
  return { ask, heard, socket };
}

const lines = (...all: object[]): string => all.map((line) => `${JSON.stringify(line)}\n`).join("");

it("progress and removed secrets are heard before the result, however the lines arrive", async () => {
  const text = lines({ progress: "Fetching" }, { secretsRemoved: 2 }, { result: { ok: true, value: { name: "ä" } } });
  const { ask, heard } = await askWith((response) => {
    for (const byte of Buffer.from(text)) response.write(Buffer.of(byte));
    response.end();
  });
  expect([await ask(), heard]).toEqual([{ ok: true, value: { name: "ä" } }, ["Fetching", 2]]);
});

it("an answer that ends early may have been done; one that is refused was not", async () => {
  const unknown = { ok: false, error: { code: "outcome_unknown" } };
  const broken = await askWith((response) => response.write(lines({ progress: "Working" }), () => response.destroy()));
  expect(await broken.ask()).toMatchObject(unknown);
  expect(await (await askWith((response) => response.end())).ask()).toMatchObject(unknown);
  const refused = await askWith((response) => response.writeHead(404).end());
  const message = expect.stringContaining("Nothing was changed");
  expect(await refused.ask()).toEqual({ ok: false, error: { code: "host_unusable", message } });
});

it("where others may enter the folder of the host nothing is asked, and that is said", async () => {
  vi.stubEnv("TMPDIR", temporaryFolder());
  onTestFinished(() => void vi.unstubAllEnvs());
  // The socket of a home with a long path is in a folder of the system's.
  const { ask, socket } = await askWith((response) => void response.end(), join(temporaryFolder(), "x".repeat(90)));
  chmodSync(dirname(socket), 0o777);
  const message = expect.stringContaining("Nothing was changed") as string;
  expect(await ask()).toMatchObject({ ok: false, error: { code: "host_unusable", message } });
});

it("an error of the system keeps what a command line explains it by", async () => {
  const error = { message: "ENOSPC: no space left", stack: "there", code: "ENOSPC", syscall: "write", path: "/h/keys" };
  const { ask } = await askWith((response) => response.end(lines({ error })));
  await expect(ask()).rejects.toMatchObject(error);
});

it.each([
  ["give", ""],
  ["take it.shim", ""],
  ["sessions import all.jsonl", ""],
  ["sessions import --all", "0 of 1 session were read; "],
])("Ctrl-C ends the wait of `shim %s` for a host, with what is known, and not its work", async (command, known) => {
  const home = aCliHome();
  writeSession(home.folder, invented("codex", home.project));
  const terminal = new EventEmitter();
  const { promise: left, resolve } = Promise.withResolvers<void>();
  const asked = (response: ServerResponse): void => {
    response.once("close", resolve);
    terminal.emit("SIGINT");
  };
  await askWith(asked, home.paths.home);
  const onInterrupt: Io["onInterrupt"] = (listener) => {
    terminal.on("SIGINT", listener);
    return () => terminal.off("SIGINT", listener);
  };
  const why = `shim: ${known}it was stopped. The host of this machine may still complete it: see \`shim sessions\``;
  expect(await home.shimWith({ hostClient: hostClientOf, onInterrupt }, command)).toMatchObject(failed(130, why));
  await left;
});

/** Writes its variables and its number, and stays. */
const program = `const fs = require("node:fs"); fs.writeFileSync("env", Object.keys(process.env).join());
  fs.appendFileSync("started", process.pid + "\\n"); setInterval(() => {}, 1e6);`;

function aHome() {
  const { home } = tempHome();
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const file = join(home, "host.cjs");
  writeFileSync(file, program);
  const pids = (): number[] => {
    const path = join(home, "started");
    return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean).map(Number) : [];
  };
  onTestFinished(() => {
    for (const pid of pids().filter(isRunning)) process.kill(pid, "SIGKILL");
  });
  const env = { ...process.env, SHIM_TASK: "7", CODEX_SESSION_ID: "s" };
  const start = (): void => startHost({ home, program: file, env });
  return { home, start, pids };
}

const isRunning = (pid: number): boolean => systemProcesses.facts(pid) !== null;

it("where the program of a host is gone no process is started, and it is said which file is missing", () => {
  const { home } = tempHome();
  const program = join(home, "gone", "mcp-host.cjs");
  const start = (): void => startHost({ home, program, env: {} });
  for (const _ of [1, 2]) {
    start();
    expect(start).toThrow(`${program} is missing`);
  }
  expect(existsSync(join(home, "host.log"))).toBe(false);
});

it("a host that was killed in its start is followed by another at once, one that ended by itself after a while; none inherits what names a chat", async () => {
  const { home, start, pids } = aHome();
  const startAll = (): void => [1, 2, 3].forEach(start);
  const started = (count: number): Promise<unknown> => vi.waitUntil(() => pids().length === count, patience);
  const kill = async (pid = 0): Promise<void> => {
    await vi.waitUntil(() => readFileSync(startMark(home), "utf8") === `${pid}\n`, patience);
    process.kill(pid, "SIGKILL");
    await vi.waitUntil(() => !isRunning(pid), patience);
  };
  startAll();
  await started(1);
  await kill(pids()[0]);
  // Removes the mark, then starts.
  startAll();
  await started(2);
  expect(readFileSync(join(home, "env"), "utf8")).not.toMatch(/SHIM_TASK|_SESSION_ID/);
  await kill(pids()[1]);
  truncateSync(startMark(home));
  startAll();
  expect([existsSync(startMark(home)), pids().length]).toEqual([true, 2]);
  utimesSync(startMark(home), 0, 0);
  startAll();
  await started(3);
});

/** The host of a home in this process, with intervals that do not run by themselves. */
async function aHostHere(faked: readonly "setTimeout"[] = []) {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", ...faked] });
  const { home, config } = tempHome();
  vi.stubEnv("SHIM_HOME", home);
  const self = identify(systemProcesses, process.pid)!;
  mkdirSync(home, { recursive: true });
  const { promise: ended, resolve: onEnded } = Promise.withResolvers<void>();
  const host = hostHere({ home, self, open: openBetterSqlite3, fallbackReason: null, onEnded: () => onEnded() });
  onTestFinished(async () => {
    host?.stop();
    await ended;
    vi.useRealTimers();
    vi.unstubAllEnvs();
  });
  await vi.waitUntil(() => markedHost(home, self.boot) !== null, patience);
  return {
    home,
    config,
    socket: hostSocket(home, self.boot),
    there: { home, launch: launchIn(home), env: process.env },
  };
}

it("a host reads its settings again when their file has changed; what cannot be read changes nothing", async () => {
  const { config, socket } = await aHostHere();
  const isOn: unknown[] = [];
  for (const [seconds, text] of ['{ "team": { "conflicts": false } }', "{", "{}"].entries()) {
    writeFileSync(config, text);
    utimesSync(config, seconds + 1, seconds + 1);
    const { body } = await ask(socket, "POST", "/call/team.conflicts", { input: {}, env: {}, by: "command line" });
    isOn.push((JSON.parse(body) as { result: { value: { isOn: boolean } } }).result.value.isOn);
  }
  expect(isOn).toEqual([false, false, true]);
});

it("a call of the coordinator in a read-only home ends with that reason, which no repetition changes", async (test) => {
  const disk = smallDisk(test, 1);
  remount(disk, "ro");
  const home = { home: disk, launch: launchIn(disk), env: process.env };
  const calls = hostCalls(
    home,
    () => true,
    () => calls,
  );
  onTestFinished(() => calls.close());
  const readOnly = { name: "StoreError", code: "store_readonly", message: expect.stringContaining("is read-only") };
  await expect(calls.call("tasks.list", {}, 60_000)).rejects.toMatchObject(readOnly);
});

it("a process beside the host calls its coordinator there, and hears of the commits of others", async () => {
  const { there } = await aHostHere();
  const none = { ok: true, value: { tasks: [] } };
  const empty = vi.fn(() => ({ call: async () => none }) as unknown as LocalCalls);
  const [one, other] = [false, true].map((isStored) => hostCalls(there, () => isStored, empty)) as [
    LocalCalls,
    LocalCalls,
  ];
  onTestFinished(() => [one, other].forEach((calls) => calls.close()));
  expect(await one.call("tasks.list", {}, 60_000)).toBe(none);
  const heard = vi.fn();
  one.onCommit(heard);
  // What was stored before it was connected is not known.
  await vi.waitUntil(() => heard.mock.calls.length === 1, patience);
  for (const calls of [one, other])
    expect(await calls.call("tasks.submit", { tasks: [{ type: "build" }] }, 60_000)).toMatchObject({ ok: true });
  await vi.waitUntil(() => heard.mock.calls.length === 2, patience);
  expect(await other.call("tasks.list", {}, 60_000)).toMatchObject({
    ok: true,
    value: { tasks: [{ task: 1 }, { task: 2 }] },
  });
  const bad = { ok: false, error: { code: "bad_input" } };
  expect(await other.call("tasks.submit", { tasks: [] }, 60_000)).toMatchObject(bad);
  expect([empty.mock.calls.length, heard.mock.calls.length]).toEqual([1, 2]);
});

it("a command's programs are looked for where its caller has them, and its long work leaves the host marked", async () => {
  const { home, there } = await aHostHere();
  const host = hostClientOf(there);
  const path = temporaryFolder();
  const gitOf = async (): Promise<unknown> => {
    const asked = { name: "checks.run", input: { group: "machine" }, env: { PATH: path, HOME: path } } as const;
    const { value } = (await host.call({ ...asked, by: "command line" }, {})) as { value: MachineOutput<"checks.run"> };
    return value.checks.find(({ name }) => name === "git");
  };
  const missing = { text: "git was not found, so files are not saved with checkpoints", fix: "Install git." };
  expect(await gitOf()).toEqual({ name: "git", state: "warn", ...missing });
  writeFileSync(join(path, "git"), "#!/bin/sh\necho git version 2.30.1\n", { mode: 0o755 });
  const old = {
    text: "git version 2.30.1: conflicts between chats are not foreseen",
    fix: "Install git 2.38 or newer.",
  };
  expect(await gitOf()).toEqual({ name: "git", state: "warn", ...old });
  const long = { name: "sessions.import", input: { file: join(path, "none") }, env: {}, by: "command line" } as const;
  expect(await host.call(long, {})).toMatchObject({ ok: false, error: { code: "not_found" } });
  expect(markedHost(home, systemProcesses.boot())?.pid).toBe(process.pid);
});

it("notices are shown behind what a running host has read for a command", async () => {
  const home = aCliHome();
  const notices = { notices: [{ id: 1, at: 0, kind: "store", text: "A file was damaged." }] };
  const read = (name: string): object => (name === "notices.list" ? notices : { phones: [] });
  const hostClient = (): HostClient => ({
    ...hostClientWith(home.runtime),
    read: ({ name }) => Promise.resolve({ ok: true, value: read(name) }),
  });
  expect((await home.shimWith({ hostClient }, "phones list")).err).toContain("NOTICE: A file was damaged.");
});

it("an operation that fails by a bug throws it where it was asked for, and the host goes on", async () => {
  const { home, there } = await aHostHere();
  const host = hostClientOf(there);
  const bug = vi.spyOn(OperationRunner.prototype, "call").mockRejectedValueOnce(new TypeError("a bug"));
  onTestFinished(() => bug.mockRestore());
  const asked = { name: "config.get", input: { key: "recovery" }, env: {}, by: "command line" } as const;
  await expect(host.call(asked, {})).rejects.toThrow("a bug");
  expect(await host.call(asked, {})).toEqual({ ok: true, value: { key: "recovery", value: "brief" } });
  expect(readFileSync(pathsIn(home).log, "utf8")).toContain("config.get failed");
});

it("a program's output is both of its streams, with its exit code; one that is missing has none", () => {
  const { runQuietly } = systemSite(launchIn(temporaryFolder()), process.env);
  expect(runQuietly("sh", ["-c", "echo one; echo two >&2; exit 3"])).toEqual({ code: 3, text: "one\ntwo\n" });
  expect(runQuietly("no-such-program", [])).toBeNull();
});

it("a host that runs is asked for a short read, and answers nothing without one, late, not whole or by a bug", async () => {
  const { home } = await aHostHere(["setTimeout"]);
  const asked = { name: "sessions.list", input: {}, env: {}, by: "command line" } as const;
  const of = (path: string) => askRunningHost(path, asked, 200);
  expect(await of(home)).toMatchObject({ result: { ok: true, value: { sessions: [] } }, isOwnProgram: true });
  expect(await of(tempHome().home)).toBeNull();
  const found = 'HTTP/1.1 200 OK\r\n\r\n{"progress":"one"}\n{"result":{"ok":true,"value":7}}\n';
  const bug = `${found}{"error":{"message":"a bug"}}`;
  const older = { result: { ok: true, value: 7 }, isOwnProgram: false };
  const answers = { [found]: older, [found.replace("200", "500")]: null, [found.slice(0, -4)]: null, [bug]: null };
  for (const [answer, expected] of [...Object.entries(answers), [null, null] as const]) {
    const other = tempHome().home;
    const socket = hostSocket(other, systemProcesses.boot());
    prepareSocketFolder(other, socket);
    linkSocket(other, socket);
    const answering = createTcpServer((connection) => {
      connection.once("data", () => (answer === null ? vi.advanceTimersByTime(200) : connection.end(answer)));
    });
    await servedInTest(answering, socket);
    expect([answer, await of(other)]).toEqual([answer, expected]);
  }
});

it("a short read of a command is the running host's, if that is the same program; else the command reads", async () => {
  const { home, there } = await aHostHere();
  const hostClient = hostClientOf(there);
  const asked = { name: "sessions.list", input: {}, env: {}, by: "command line" } as const;
  expect(await hostClient.read(asked)).toMatchObject({ ok: true, value: { sessions: [] } });
  expect(await hostClient.read({ ...asked, input: { limit: 0 } })).toMatchObject({
    ok: false,
    error: { code: "bad_input" },
  });
  const store = vi.fn<() => never>();
  const site = systemSite(launchIn(temporaryFolder()), {});
  const context = { paths: pathsIn(home), site, loaded: store, runtime: store, hostClient };
  expect(await new OperationRunner(context).call("sessions.list", {})).toMatchObject({ ok: true });
  expect(store).not.toHaveBeenCalled();
  const own = {
    ...context,
    hostClient: { ...hostClient, read: () => Promise.resolve(null) },
    runtime: () => {
      throw new Error("reads");
    },
  };
  await expect(new OperationRunner(own).call("sessions.list", {})).rejects.toThrow("reads");
});
