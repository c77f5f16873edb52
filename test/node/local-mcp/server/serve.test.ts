import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { listCrashes } from "#harness/machine/crashes.ts";
import { expect, it, onTestFinished, vi } from "vitest";
import { drainInto } from "#src/local-mcp/hooks/spool-hook.ts";
import { serve } from "#src/local-mcp/server/serve.ts";
import * as spool from "#src/store/spool.ts";
import { MachineWork } from "#src/local-mcp/server/machine-work.ts";
import { aProject, rowCount, storedSession, aChat } from "#harness/machine/claude.ts";
import { git } from "#harness/machine/git-project.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { column } from "#harness/store/store-rows.ts";

const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
const clientPid = 4_000_000;

/** The server on pipes of its own; the test says when time passes and when a signal comes. */
async function aServer(runtime: TempRuntime) {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const before = new Map(signals.map((signal) => [signal, new Set<unknown>(process.listeners(signal))]));
  runtime.processes.start(process.pid, clientPid);
  if (!runtime.processes.facts(clientPid)) runtime.processes.start(clientPid);
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const exits: number[] = [];
  const waiting = new Map<unknown, (message: Record<string, unknown>) => void>();
  let written = "";
  stdout.on("data", (data: Buffer) => {
    written += data.toString();
    for (const line of data.toString().split("\n").filter(Boolean)) {
      const message = JSON.parse(line) as Record<string, unknown>;
      waiting.get(message["id"])?.(message);
    }
  });
  /** The exit code, when the process would end. */
  const ended = new Promise<number>((resolve) => {
    const exit = (code: number): void => (exits.push(code), resolve(code));
    serve({ runtime, version: "1", isExtension: false, clientPid, stdin, stdout, exit });
  });
  const added = signals.flatMap((signal) =>
    process.listeners(signal).flatMap((listener) => (before.get(signal)?.has(listener) ? [] : [{ signal, listener }])),
  );
  onTestFinished(() => {
    vi.useRealTimers();
    for (const { signal, listener } of added) process.off(signal, listener);
  });
  const send = (message: object): void => void stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  let id = 0;
  const ask = (method: string, params: object): Promise<Record<string, unknown>> =>
    new Promise((resolve) => {
      waiting.set((id += 1), resolve);
      send({ id, method, params });
    });
  const raise = (signal: NodeJS.Signals): void => added.find((one) => one.signal === signal)?.listener(signal);
  /** @returns the session that is saved */
  const save = async (input: object): Promise<string> => {
    const { result } = await ask("tools/call", { name: "shim_force_checkpoint", arguments: input });
    return (result as { structuredContent: { session: string } }).structuredContent.session;
  };
  const clientInfo = { name: "raw", version: "1" };
  await ask("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
  send({ method: "notifications/initialized" });
  return { stdin, stdout, ended, exits, written: () => written, ask, raise, save };
}

/** A server whose only session has a goal. */
async function aServerAtWork() {
  const runtime = tempRuntime();
  const server = await aServer(runtime);
  const id = await server.save({ goal: "fix it" });
  return { ...server, runtime, stored: () => storedSession(runtime, id) };
}

it("[TE121] a server stores the durations of its last saves before it ends", async () => {
  const { runtime, stdin, ended } = await aServerAtWork();
  stdin.end();
  expect(await ended).toBe(0);
  const saves = runtime.store.read((sql) => column(sql, "SELECT count FROM session_durations"), []);
  expect(saves).toEqual([rowCount(runtime, "checkpoints")]);
});

it("[MC8] the end of stdin ends the process once; its session is saved and detached, not ended", async () => {
  const { stdin, ended, exits, stored, written } = await aServerAtWork();
  stdin.end();
  stdin.destroy();
  expect(await ended).toBe(0);
  expect(exits).toEqual([0]);
  expect(stored()).toMatchObject({ client: "raw", endedAt: null, detachReason: "stdin_end" });
  for (const line of written().trim().split("\n")) expect(line).toMatch(/^\{"/);
});

it("[MC8] a client that reads no more ends it, although the end of stdin is never seen", async () => {
  const { stdout, ended, exits, stored } = await aServerAtWork();
  stdout.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  expect(await ended).toBe(0);
  expect(exits).toEqual([0]);
  expect(stored()).toMatchObject({ endedAt: null, detachReason: "stdin_end" });
});

it.each(signals)(
  "[MC8] %s ends it too, sent twice as once, and is the reason of the detachment while the client lives",
  async (signal) => {
    const { raise, ended, exits, stored } = await aServerAtWork();
    raise(signal);
    raise(signal);
    expect(await ended).toBe(0);
    expect(exits).toEqual([0]);
    expect(stored().detachReason).toBe(signal.toLowerCase());
  },
);

it("[MC8] when the client is gone without a word, the server ends, and a hang-up by its death is no closed terminal", async () => {
  for (const isHungUp of [false, true]) {
    const { runtime, raise, ended, stored } = await aServerAtWork();
    runtime.processes.kill(clientPid);
    if (isHungUp) raise("SIGHUP");
    else vi.advanceTimersByTime(2_000);
    expect(await ended).toBe(0);
    expect(stored().detachReason).toBe("client_gone");
  }
});

it("[RE187] a client that is killed in the middle of a tool has died then, and not at its last event", async () => {
  const { runtime, claude } = aChat({ pid: clientPid });
  claude.prompt("fix it");
  claude.begin("Bash", { command: "make" });
  const { ended } = await aServer(runtime);
  runtime.wait(35_000);
  runtime.processes.kill(clientPid);
  vi.advanceTimersByTime(2_000);
  expect(await ended).toBe(0);
  const [death] = runtime.store.read((sql) => listCrashes(sql), []);
  expect(death).toMatchObject({ sessionId: claude.session, at: runtime.now() });
});

it.each(["SIGTERM", "SIGINT"] as const)(
  "[SI47] %s is the reason although the end of stdin comes first and the client is gone by then",
  async (signal) => {
    const { runtime, raise, stdin, ended, stored } = await aServerAtWork();
    runtime.processes.kill(clientPid);
    stdin.once("end", () => raise(signal));
    stdin.end();
    expect(await ended).toBe(0);
    expect(stored().detachReason).toBe(signal.toLowerCase());
  },
);

it("[MC8] for a client that only lists the tools nothing is written", async () => {
  const runtime = tempRuntime();
  const { ask, stdin, ended } = await aServer(runtime);
  await ask("tools/list", {});
  vi.advanceTimersByTime(2_000);
  stdin.end();
  await ended;
  expect(existsSync(runtime.paths.database)).toBe(false);
});

it("[MC9] when the client was killed, the files of its last state are still saved @night", async () => {
  const runtime = tempRuntime({ env: { PATH: process.env["PATH"] } });
  const project = aProject();
  git(project, "init", "-q");
  git(project, "symbolic-ref", "HEAD", "refs/heads/new");
  const { save, stdin, ended } = await aServer(runtime);
  const session = await save({ goal: "fix it", project });
  writeFileSync(join(project, "a.txt"), "the last words");
  await save({ session, files: [join(project, "a.txt")] });
  runtime.processes.kill(clientPid);
  stdin.end();
  await ended;
  const states = runtime.store.read((sql) => column(sql, "SELECT state FROM snapshots"), []);
  expect([states.includes("done"), states.includes("pending")]).toEqual([true, false]);
});

/** The background work is loaded with its first portion. */
async function nextTick(): Promise<void> {
  vi.advanceTimersByTime(2_000);
  await vi.dynamicImportSettled();
}

it("[MC16] at intervals the process updates its session: registered, spool applied, readings up to date", async () => {
  const { runtime, claude } = aChat({ pid: clientPid });
  claude.prompt("fix it");
  const { raise, ended } = await aServer(runtime);
  const input = { session_id: claude.session, prompt: "kept aside", prompt_id: "p9" };
  const entry = { at: runtime.now(), event: "UserPromptSubmit", clientPid: 1, clientStart: null, input };
  spool.append(runtime.paths.spool, entry);
  runtime.wait(400_000);
  await nextTick();
  expect(["servers", "checkpoints"].map((table) => rowCount(runtime, table))).toEqual([1, 1]);
  expect(drainInto(runtime)).toBe(0);
  const { savedAt, readings } = storedSession(runtime, claude.session);
  expect(savedAt).toBe(runtime.now());
  runtime.wait(5_000);
  await nextTick();
  expect(storedSession(runtime, claude.session).readings).toEqual(readings);
  raise("SIGTERM");
  await ended;
  expect(rowCount(runtime, "servers")).toBe(0);
});

it("[MC22] a failing update is logged and ends nothing; an ended session is left alone", async () => {
  const { runtime, claude } = aChat({ pid: clientPid });
  claude.turn("fix it");
  claude.tell("SessionEnd", { reason: "clear" });
  const { stdin, ended } = await aServer(runtime);
  const before = storedSession(runtime, claude.session);
  runtime.wait(400_000);
  runtime.store.write((sql) => sql.run("DROP TABLE servers"));
  await nextTick();
  expect(runtime.logged.join()).toContain('"tick"');
  expect(storedSession(runtime, claude.session)).toEqual(before);
  stdin.end();
  expect(await ended).toBe(0);
});

function nothing(): void {}

/** Ticks so many `times`, two seconds apart. @returns which of the ticks do the work, by their number */
function aMachine(runtime: TempRuntime): (times: number) => number[] {
  let ran = 0;
  const machine = new MachineWork(runtime, runtime.processes.start(9_000));
  machine.add({
    isSettled: true,
    checkClient: nothing,
    watch: nothing,
    work: () => void (ran += 1),
    reader: () => null,
  });
  return (times) =>
    Array.from({ length: times }, (_, n) => n).filter(() => {
      const before = ran;
      machine.tick();
      runtime.wait(2_000);
      return ran > before;
    });
}

it("[MC18] while nothing changes the background work is done every ten seconds; a commit or a spooled event changes that", async () => {
  const { runtime, claude } = aChat();
  claude.turn("fix the parser");
  const tick = aMachine(runtime);
  // The last turn is news for ten seconds.
  expect(tick(15)).toEqual([0, 1, 2, 3, 4, 9, 14]);
  for (const one of [tempRuntime({ beside: runtime }), runtime]) {
    one.store.write((sql) => sql.run("UPDATE sessions SET title = 'another'"));
    expect(tick(3)).toEqual([0, 1, 2]);
    tick(10);
  }
  const entry = { event: "Notification", clientPid: claude.pid, clientStart: null, input: { session_id: "s" } };
  spool.append(runtime.paths.spool, { at: runtime.now(), ...entry });
  expect(tick(2)).toEqual([0, 1]);
});

it("[MC18] a clock that is set back does not stop the work", async () => {
  const { runtime, claude } = aChat();
  claude.start();
  const tick = aMachine(runtime);
  tick(12);
  runtime.clock.now -= 86_400_000;
  expect(tick(1)).toEqual([0]);
});
