import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { expect, it, onTestFinished, vi } from "vitest";
import { drainInto } from "#src/local-mcp/hooks/spool-hook.ts";
import { serve } from "#src/local-mcp/server/serve.ts";
import * as spool from "#src/store/spool.ts";
import { Background } from "#src/local-mcp/server/background.ts";
import { FileSaver } from "#src/local-mcp/server/file-saver.ts";
import { aProject, Claude, rowCount, storedSession, aChat } from "#harness/machine/claude.ts";
import { git } from "#harness/machine/git-project.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { connect } from "#harness/machine/mcp-client.ts";

const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
const clientPid = 4_000_000;

interface Served {
  readonly stdin: PassThrough;
  readonly stdout: PassThrough;
  /** The exit code, when the process would end. */
  readonly ended: Promise<number>;
  readonly exits: number[];
  readonly raise: (signal: (typeof signals)[number]) => void;
  /** The answer to a request. */
  readonly ask: (method: string, params: object) => Promise<Record<string, unknown>>;
  readonly written: () => string;
}

/** The server on pipes of its own; the test says when time passes and when a signal comes. */
function aServer(runtime: TempRuntime): Served {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const before = new Map(signals.map((signal) => [signal, new Set<unknown>(process.listeners(signal))]));
  runtime.processes.start(process.pid, clientPid);
  if (!runtime.processes.facts(clientPid)) runtime.processes.start(clientPid);
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const exits: number[] = [];
  const waiting = new Map<unknown, (message: Record<string, unknown>) => void>();
  let text = "";
  stdout.on("data", (data: Buffer) => {
    text += data.toString();
    for (const line of data.toString().split("\n").filter(Boolean)) {
      const message = JSON.parse(line) as Record<string, unknown>;
      waiting.get(message["id"])?.(message);
    }
  });
  const ended = new Promise<number>((resolve) => {
    serve({
      runtime,
      version: "1",
      clientPid,
      front: null,
      stdin,
      stdout,
      exit: (code) => {
        exits.push(code);
        resolve(code);
      },
    });
  });
  const added = signals.map((signal) => ({
    signal,
    listener: process.listeners(signal).find((one) => !before.get(signal)?.has(one)),
  }));
  onTestFinished(() => {
    vi.useRealTimers();
    for (const { signal, listener } of added) if (listener) process.off(signal, listener);
  });
  let id = 0;
  const send = (message: object): void => void stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  return {
    stdin,
    stdout,
    ended,
    exits,
    written: () => text,
    raise: (signal) => added.find((one) => one.signal === signal)?.listener?.(signal),
    ask: (method, params) =>
      new Promise((resolve) => {
        id += 1;
        waiting.set(id, resolve);
        send({ id, method, params });
      }),
  };
}

const hello = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "1" } };

async function greet(server: Served): Promise<void> {
  await server.ask("initialize", hello);
  server.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
}

async function save(server: Served, input: object): Promise<string> {
  const { result } = await server.ask("tools/call", { name: "shim_force_checkpoint", arguments: input });
  const { structuredContent } = result as { structuredContent: { session: string } };
  return structuredContent.session;
}

it("[MC8] the end of stdin ends the process once; its session is saved and detached, not ended", async () => {
  const runtime = tempRuntime();
  const server = aServer(runtime);
  await greet(server);
  const id = await save(server, { goal: "fix it" });
  server.stdin.end();
  server.stdin.destroy();
  expect(await server.ended).toBe(0);
  expect(server.exits).toEqual([0]);
  expect(storedSession(runtime, id)).toMatchObject({ client: "raw", endedAt: null, detachReason: "stdin_end" });
  expect(
    server
      .written()
      .trim()
      .split("\n")
      .every((line) => line.startsWith('{"')),
  ).toBe(true);
});

it("[MC8] a client that reads no more ends it, although the end of stdin is never seen", async () => {
  const runtime = tempRuntime();
  const server = aServer(runtime);
  await greet(server);
  const id = await save(server, { goal: "fix it" });
  server.stdout.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  expect(await server.ended).toBe(0);
  expect(server.exits).toEqual([0]);
  expect(storedSession(runtime, id)).toMatchObject({ endedAt: null, detachReason: "stdin_end" });
});

it("[MC8] a signal ends it too, told twice as once, and is the reason of the detachment while the client lives", async () => {
  for (const signal of signals) {
    const runtime = tempRuntime();
    const server = aServer(runtime);
    await greet(server);
    const id = await save(server, { goal: "fix it" });
    server.raise(signal);
    server.raise(signal);
    expect(await server.ended).toBe(0);
    expect(server.exits).toEqual([0]);
    expect(storedSession(runtime, id).detachReason).toBe(signal.toLowerCase());
  }
});

it("[MC8] when the client is gone without a word, that is noticed, and a hang-up by its death is no closed terminal", async () => {
  const runtime = tempRuntime();
  const server = aServer(runtime);
  await greet(server);
  const id = await save(server, { goal: "fix it" });
  runtime.processes.kill(clientPid);
  vi.advanceTimersByTime(2_000);
  expect(await server.ended).toBe(0);
  expect(storedSession(runtime, id).detachReason).toBe("client_gone");
  const other = tempRuntime();
  const second = aServer(other);
  await greet(second);
  const killed = await save(second, { goal: "fix it" });
  other.processes.kill(clientPid);
  second.raise("SIGHUP");
  await second.ended;
  expect(storedSession(other, killed).detachReason).toBe("client_gone");
});

it("[MC8] a client that only looks at the server finds nothing written", async () => {
  const runtime = tempRuntime();
  const server = aServer(runtime);
  await greet(server);
  await server.ask("tools/list", {});
  vi.advanceTimersByTime(2_000);
  server.stdin.end();
  await server.ended;
  expect(existsSync(runtime.paths.database)).toBe(false);
});

it("[MC9] when the client was killed, the files of its last state are still saved", async () => {
  const runtime = tempRuntime({ env: { PATH: process.env["PATH"] } });
  const project = aProject();
  git(project, "init", "-q");
  git(project, "symbolic-ref", "HEAD", "refs/heads/new");
  const server = aServer(runtime);
  await greet(server);
  const id = await save(server, { goal: "fix it", project });
  writeFileSync(join(project, "a.txt"), "the last words");
  await save(server, { session: id, files: [join(project, "a.txt")] });
  runtime.processes.kill(clientPid);
  server.stdin.end();
  await server.ended;
  const states = runtime.store.read((sql) => sql.all<{ state: string }>("SELECT state FROM snapshots"), []);
  expect(states.map(({ state }) => state)).toContain("done");
  expect(states.map(({ state }) => state)).not.toContain("pending");
});

/** The background work is loaded with its first portion. */
async function nextTick(): Promise<void> {
  vi.advanceTimersByTime(2_000);
  await vi.dynamicImportSettled();
}

it("[MC16] at intervals the process updates its session: registered, spool applied, readings up to date", async () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject(), pid: clientPid });
  claude.start();
  claude.prompt("fix it");
  const server = aServer(runtime);
  await greet(server);
  const input = { session_id: claude.session, prompt: "kept aside", prompt_id: "p9" };
  spool.append(runtime.paths.spool, {
    at: runtime.now(),
    event: "UserPromptSubmit",
    clientPid: 1,
    clientStart: null,
    input,
  });
  runtime.wait(400_000);
  await nextTick();
  expect(rowCount(runtime, "servers")).toBe(1);
  expect(rowCount(runtime, "checkpoints")).toBe(1);
  expect(drainInto(runtime)).toBe(0);
  expect(storedSession(runtime, claude.session)).toMatchObject({ savedAt: runtime.now() });
  const { readings } = storedSession(runtime, claude.session);
  runtime.wait(5_000);
  await nextTick();
  expect(storedSession(runtime, claude.session).readings).toEqual(readings);
  server.raise("SIGTERM");
  await server.ended;
  expect(rowCount(runtime, "servers")).toBe(0);
});

it("[MC22] a failing update is logged and ends nothing; an ended session is left alone", async () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject(), pid: clientPid });
  claude.turn("fix it");
  claude.tell("SessionEnd", { reason: "clear" });
  const server = aServer(runtime);
  await greet(server);
  const before = storedSession(runtime, claude.session);
  runtime.wait(400_000);
  runtime.store.write((sql) => sql.run("DROP TABLE servers"));
  await nextTick();
  expect(runtime.logged.some((line) => line.includes('"tick"'))).toBe(true);
  expect(storedSession(runtime, claude.session)).toEqual(before);
  server.stdin.end();
  expect(await server.ended).toBe(0);
});

interface Ticking {
  /** Ticks `times`, two seconds apart. @returns which of them did the work, by their number */
  tick(times: number): number[];
}

async function aBackground(runtime: TempRuntime, claude: Claude): Promise<Ticking> {
  const { chat, server } = await connect(runtime, { clientPid: claude.pid });
  const files = new FileSaver(runtime, chat);
  let ran = 0;
  files.save = () => Promise.resolve(void (ran += 1));
  const background = new Background({ runtime, chat, server, team: null, files });
  return {
    tick: (times) =>
      Array.from({ length: times }, (_, n) => n).filter(() => {
        const before = ran;
        background.tick();
        runtime.wait(2_000);
        return ran > before;
      }),
  };
}

it("[MC18] while nothing changes the background work is done every ten seconds; a commit or a spooled event brings it back", async () => {
  const { runtime, claude } = aChat();
  claude.start();
  claude.turn("fix the parser");
  const background = await aBackground(runtime, claude);
  // The last turn is news for ten seconds.
  expect(background.tick(15)).toEqual([0, 1, 2, 3, 4, 9, 14]);
  const other = tempRuntime({ beside: runtime });
  other.store.write((sql) => sql.run("UPDATE sessions SET title = 'another'"));
  expect(background.tick(3)).toEqual([0, 1, 2]);
  background.tick(10);
  runtime.store.write((sql) => sql.run("UPDATE sessions SET title = 'its own'"));
  expect(background.tick(3)).toEqual([0, 1, 2]);
  background.tick(10);
  const entry = { event: "Notification", clientPid: claude.pid, clientStart: null, input: { session_id: "s" } };
  spool.append(runtime.paths.spool, { at: runtime.now(), ...entry });
  expect(background.tick(2)).toEqual([0, 1]);
});

it("[MC18] a clock that is set back does not stop the work", async () => {
  const { runtime, claude } = aChat();
  claude.start();
  const background = await aBackground(runtime, claude);
  background.tick(12);
  runtime.clock.now -= 86_400_000;
  expect(background.tick(1)).toEqual([0]);
});
