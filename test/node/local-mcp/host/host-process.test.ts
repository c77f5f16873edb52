import { identify, systemProcesses } from "#src/platform/processes.ts";
import { once } from "node:events";
import { statSync, existsSync, rmSync, writeFileSync, readdirSync, readFileSync, watch } from "node:fs";
import { request } from "node:http";
import { expect, it, vi, onTestFinished } from "vitest";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { storedSession, rowCount, aDeadClaude, aProject, aChat } from "#harness/machine/claude.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { patience } from "#harness/machine/programs.ts";
import { aFront, aHost, aReceiver, ask, open, program, settled, statusOf } from "#harness/machine/host-rig.ts";
import { tokenOf } from "#harness/sync/sync-machine.ts";
import { tempRuntime, listCrashes } from "#harness/machine/temp-runtime.ts";
import { join, resolve } from "node:path";
import { drainInto } from "#src/local-mcp/events/answer-hook.ts";
import { listBackups } from "#src/store/backup.ts";
import { isPaused } from "#src/store/pause.ts";
import * as spool from "#src/store/spool.ts";
import { git, LIMITS, makeProject, T0, withGit, write, type GitProject } from "#harness/machine/git-project.ts";
import { column } from "#harness/store/store-test.ts";
import { machineOperationNames, machineOperations } from "#src/contract/machine/operations.ts";
import { OperationRunner } from "#src/local-mcp/host/operation-runner.ts";
import { type Runtime, runApart } from "#src/runtime/runtime.ts";
import { StoreError } from "#src/store/store-error.ts";
import { aCliHome } from "#harness/machine/cli-home.ts";
import { pathToFileURL } from "node:url";
import { jobsOf } from "#src/local-mcp/host/job-process.ts";
import { dropSnapshots } from "#src/snapshots/drop-snapshots.ts";
import { takeSnapshot } from "#src/snapshots/take-snapshot.ts";
import { execFileSync } from "node:child_process";
import type { Trigger } from "#src/contract/checkpoint.ts";
import { capture } from "#src/machine/sessions/checkpoints/capture.ts";
import { FileSaver } from "#src/local-mcp/host/file-saver.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";

type HostRig = Awaited<ReturnType<typeof aHost>>;
type FrontOfChat = Awaited<ReturnType<typeof aFront>>;

/** Two chats of a host. */
const twoFronts = async (host: HostRig): Promise<[FrontOfChat, FrontOfChat]> => [
  await aFront(host, { pid: 101, clientPid: 100 }),
  await aFront(host, { pid: 201, clientPid: 200 }),
];

const clientPid = 4_000_000;
const edge = { url: "http://127.0.0.1:9", workspace: "team", machine: "m1", token: tokenOf("m1") };

/** The front says why it ends. */
const end = (front: FrontOfChat, reason: string): void =>
  front.send({ jsonrpc: "2.0", id: "shim-front:1", method: "shim/end", params: { reason } });

/** The host looks around after this time. */
function pass({ runtime }: HostRig, ms: number): void {
  runtime.wait(ms);
  vi.advanceTimersByTime(10_000);
}

/** The host has done all for its chats. */
const withoutChats = (host: HostRig): Promise<unknown> =>
  vi.waitUntil(async () => ((await statusOf(host))["chats"] as unknown[]).length === 0, patience);

it("one host serves several chats at once, each with its own session and the variables of its client", async () => {
  const host = await aHost();
  const one = await aFront(host, { pid: 101, clientPid: 100 });
  const two = await aFront(host, { pid: 201, clientPid: 200, env: { CLAUDE_CODE_SESSION_ID: "session-of-two" } });
  expect(one.greeting).toMatchObject({ program, host: { pid: 7_000 } });
  expect(statSync(host.socket).mode & 0o777).toBe(0o600);
  const [first, second] = await Promise.all([one.save("one"), two.save("two")]);
  expect(second).toBe("session-of-two");
  expect([first, second].map((id) => storedSession(host.runtime, id).owner?.pid)).toEqual([101, 200]);
  const chats = [101, 201].map((front) => ({ front, client: front - 1, isConnected: true }));
  expect(await statusOf(host)).toMatchObject({ pid: 7_000, chats });
});

it("all threads of a client's process are in the team once, whichever of its fronts is there, and each gets its messages", async () => {
  const host = await aHost();
  const { runtime } = host;
  const cwd = aProject();
  const codex = new RecordedClient(runtime, "codex", 100);
  const threads = ["a", "b", "c"].map((name) => `01a2045b-7370-7310-ae86-759c5ba1215${name}`);
  const tell = (event: string, fields: object = {}): Record<string, unknown>[] =>
    threads.map((id) => codex.report(event, { session_id: id, cwd, ...fields }));
  tell("SessionStart", { source: "startup" });
  tell("UserPromptSubmit", { turn_id: "t1", prompt: "fix the parser" });
  const fronts: FrontOfChat[] = [];
  for (const pid of [101, 102, 103]) fronts.push(await aFront(host, { pid, clientPid: 100, name: "codex-mcp-client" }));
  const other = await aFront(host, { pid: 201, clientPid: 200, env: { CLAUDE_CODE_SESSION_ID: "session-of-another" } });
  const members = async (): Promise<string[]> => {
    const answer = await other.call("shim_chats", {});
    const { chats } = answer["structuredContent"] as { readonly chats: { readonly chat: string }[] };
    const ids = chats.map(({ chat }) => chat).filter((chat) => chat !== "session-of-another");
    return ids.toSorted((a, b) => a.localeCompare(b));
  };
  const areMembers = async (): Promise<void> => {
    pass(host, 10_000);
    await vi.waitUntil(async () => (await members()).length === threads.length, patience);
  };
  await areMembers();
  // A call of a thread, whose own server is not that which came first.
  const called = await fronts[2]?.ask("tools/call", {
    name: "shim_inbox",
    arguments: {},
    _meta: { sessionId: threads[2] },
  });
  expect(called).toMatchObject({ result: { structuredContent: { session: threads[2], news: [] } } });
  if (fronts[0]) end(fronts[0], "stdin_end");
  await fronts[0]?.closed;
  await areMembers();
  expect(await members()).toEqual(threads);
  expect(threads.map((id) => storedSession(runtime, id).ending)).toEqual([null, null, null]);
  await other.call("shim_send", { to: "all", text: "the parser is mine" });
  await other.call("shim_send", { to: threads[1], text: "you take the lexer" });
  const unclear = JSON.stringify(await other.call("shim_send", { to: "01a2045b", text: "which one?" }));
  expect(unclear).toContain("ambiguous");
  pass(host, 10_000);
  const heard: string[] = ["", "", ""];
  let turns = 1;
  await vi.waitUntil(() => {
    turns += 1;
    tell("UserPromptSubmit", { turn_id: `t${turns}`, prompt: "go on" }).forEach((answer, at) => {
      heard[at] += JSON.stringify(answer);
    });
    return heard.every((text) => text.includes("the parser is mine")) && heard[1]?.includes("you take the lexer");
  }, patience);
  expect(heard.map((text) => text.includes("you take the lexer"))).toEqual([false, true, false]);
});

it.each([
  ["the front says that its input has ended", "stdin_end"],
  ["the front says that a signal ended it", "sigterm"],
  ["the front is killed", null],
])("%s: the session of its living client is detached, and other chats stay", async (_, reason) => {
  const host = await aHost();
  const [one, two] = await twoFronts(host);
  await one.call("shim_hook", { event: "Notification", session_id: "s1", message: "waits" });
  const session = await one.save("one");
  if (reason === null) one.connection.destroy();
  else end(one, reason);
  await vi.waitUntil(() => storedSession(host.runtime, session).ending !== null, patience);
  expect(storedSession(host.runtime, session)).toMatchObject({ ending: { reason: reason ?? "stdin_end" } });
  const client = identify(host.runtime.processes, 100);
  // The front that was killed is to be reported to its client.
  expect(client && host.runtime.fronts.hasLost(client)).toBe(reason === null);
  await expect(two.call("shim_session_status", {})).resolves.not.toHaveProperty("isError");
});

it("a chat whose client is gone is ended within a tick, though its front still holds the connection, and a hang-up by its death is no closed terminal", async () => {
  const host = await aHost();
  const [one, hungUp] = await twoFronts(host);
  const saved = [await one.save("one"), await hungUp.save("two")];
  for (const pid of [100, 200]) host.runtime.processes.kill(pid);
  end(hungUp, "sighup");
  await hungUp.closed;
  vi.advanceTimersByTime(2_000);
  await one.closed;
  expect(saved.map((id) => storedSession(host.runtime, id).ending?.reason)).toEqual(["client_gone", "client_gone"]);
});

it("a front whose client was seen to be gone before it says that a signal ended it is heard", async () => {
  const host = await aHost();
  const [one] = await twoFronts(host);
  const session = await one.save("one");
  host.runtime.processes.kill(100);
  vi.advanceTimersByTime(2_000);
  end(one, "sigterm");
  await one.closed;
  expect(storedSession(host.runtime, session).ending?.signs).toMatchObject({ signal: { reason: "sigterm" } });
});

it("a host that hands over closes its connections and detaches no session: a chat that comes back to the next host keeps it", async () => {
  const host = await aHost();
  const [one, two] = await twoFronts(host);
  const session = await one.save("one");
  two.send({ jsonrpc: "2.0", id: "shim-front:1", method: "shim/hand-over", params: {} });
  await Promise.all([one.closed, two.closed, host.ended]);
  const next = await aHost(tempRuntime({ beside: host.runtime }));
  expect(storedSession(next.runtime, session).ending).toBe(null);
  const again = await aFront(next, { pid: 101, clientPid: 100, isRestart: true });
  expect(await again.save("two")).toBe(session);
});

it("a command of an older version ends no host, however late it was built; one of a newer version does", async () => {
  const host = await aHost();
  const call = async (caller: object): Promise<number> =>
    (await ask(host.socket, "POST", "/call/unknown", {}, { "shim-program": JSON.stringify(caller) })).status;
  const { version, builtAt } = program;
  expect(await call({ version: "1.9.0", builtAt: builtAt + 5_000 })).toBe(404);
  expect(await call({ version, builtAt })).toBe(404);
  expect(await call({ version: "2.0.1", builtAt: builtAt - 1 })).toBe(426);
  await host.ended;
});

it("a host ends ten minutes after its last connection, and not before", async () => {
  const host = await aHost();
  const { connection, closed } = await aFront(host, { pid: 101, clientPid: 100 });
  pass(host, 3_600_000);
  host.runtime.processes.kill(100);
  connection.destroy();
  await closed;
  await withoutChats(host);
  pass(host, 0);
  pass(host, 590_000);
  expect(host.isOver).toBe(false);
  pass(host, 20_000);
  await host.ended;
});

it("a host whose home is gone ends", async () => {
  const host = await aHost();
  rmSync(host.runtime.paths.home, { recursive: true });
  vi.advanceTimersByTime(2_000);
  await host.ended;
});

it.each([
  ["no JSON", "hello\n"],
  ["an incomplete greeting", '{"program":{}}\n'],
  ["a greeting without an end", "x".repeat(9_000_000)],
])("a connection that is not a front's is closed, and harms no other: %s", async (_, text) => {
  const host = await aHost();
  const { call } = await aFront(host, { pid: 101, clientPid: 100 });
  const stranger = await open(host.socket);
  const closed = new Promise((resolve) => void stranger.once("close", resolve));
  stranger.on("error", () => undefined);
  stranger.write("GET /mcp HTTP/1.1\r\nHost: shim\r\nConnection: Upgrade\r\nUpgrade: shim-mcp\r\n\r\n");
  stranger.write(text);
  await closed;
  expect((await ask(host.socket, "GET", "/other")).status).toBe(404);
  await expect(call("shim_session_status", {})).resolves.not.toHaveProperty("isError");
});

it("while a program attends, the host stays without a chat, and notifies of deaths", async () => {
  const receiver = await aReceiver();
  const host = await aHost(tempRuntime({ config: { notify: { webhook: receiver.url } } }));
  const program = request({ socketPath: host.socket, method: "POST", path: "/connection" });
  program.on("error", () => undefined).end(JSON.stringify({ isFollowing: false }));
  await once(program, "response");
  vi.advanceTimersByTime(2_000);
  for (let n = 0; n < 2; n++) pass(host, 700_000);
  // What died before the first look is not notified of.
  await vi.waitUntil(() => rowCount(host.runtime, "sent_notifications") > 0, patience);
  aDeadClaude(host.runtime);
  await vi.waitUntil(() => (pass(host, 10_000), receiver.bodies.length > 0), patience);
  expect(receiver.bodies.map(({ event }) => event)).toEqual(["chat_died"]);
  program.destroy();
  await vi.waitUntil(() => (pass(host, 601_000), !existsSync(host.socket)), patience);
  await host.ended;
});

it("an operation is completed, although its caller has gone", async () => {
  const { runtime, socket } = await aHost();
  const asked = request({ socketPath: socket, method: "POST", path: "/call/pauses.start" });
  asked.on("error", () => undefined);
  asked.end(JSON.stringify({ input: {}, env: {}, by: "command line" }), () => asked.destroy());
  await vi.waitUntil(() => runtime.store.read((sql) => isPaused(sql, runtime.now(), "/p"), false), patience);
});

it("a host that stops waits for the operations that run", async () => {
  const host = await aHost();
  const { promise, resolve } = Promise.withResolvers<never>();
  const call = vi.spyOn(OperationRunner.prototype, "call").mockReturnValue(promise);
  onTestFinished(() => call.mockRestore());
  const asked = ask(host.socket, "POST", "/call/notices.list", { input: {}, env: {}, by: "command line" });
  asked.catch(() => undefined);
  await vi.waitUntil(() => call.mock.calls.length > 0, patience);
  host.host.stop();
  await settled();
  expect(host.isOver).toBe(false);
  resolve({ ok: true, value: {} } as never);
  await host.ended;
});

it("a host that stops waits for a snapshot that it has begun, which the next host takes", async () => {
  const runtime = tempRuntime({ env: { PATH: process.env["PATH"] } });
  const project = aProject();
  const [begun, answer] = [Promise.withResolvers<AbortSignal | undefined>(), Promise.withResolvers<unknown>()];
  const startJob: Runtime["startJob"] = (_, signal) => (begun.resolve(signal), answer.promise);
  const host = await aHost(Object.assign(runtime, { startJob }));
  const front = await aFront(host, { pid: 101, clientPid });
  await front.call("shim_force_checkpoint", { goal: "fix it", project });
  const signal = await begun.promise;
  host.host.stop();
  await settled();
  expect([signal?.aborted, host.isOver]).toEqual([true, false]);
  answer.resolve({ state: "failed", reason: "aborted" });
  await host.ended;
  const states = tempRuntime({ beside: runtime }).store.read((sql) => column(sql, "SELECT state FROM snapshots"), []);
  expect(states).toEqual(["pending"]);
});

it("a host syncs for the workspace of the caller only", async () => {
  const host = await aHost();
  writeEdgeConfig(host.runtime.paths.home, edge);
  const env = { SHIM_EDGE_URL: edge.url, SHIM_WORKSPACE: "other", SHIM_TOKEN: edge.token };
  const { body } = await ask(host.socket, "POST", "/call/workspace.sync", { input: {}, env, by: "command line" });
  expect(JSON.parse(body)).toMatchObject({ result: { ok: false, error: { code: "other_workspace" } } });
});

it("a client that is killed in the middle of a tool has died then, not at its last event", async () => {
  const { runtime, claude } = aChat({ pid: clientPid });
  claude.prompt("fix it");
  claude.begin("Bash", { command: "make" });
  const host = await aHost(runtime);
  await aFront(host, { pid: 101, clientPid });
  runtime.wait(35_000);
  runtime.processes.kill(clientPid);
  vi.advanceTimersByTime(2_000);
  await withoutChats(host);
  const [death] = runtime.store.read((sql) => listCrashes(sql), []);
  expect(death).toMatchObject({ session: claude.session, at: runtime.now() });
});

it("when the client was killed, the files of its last state are still saved, also where the host ends with it @night", async () => {
  const runtime = tempRuntime({ env: { PATH: process.env["PATH"] } });
  const project = aProject();
  git(project, "init", "-q");
  git(project, "symbolic-ref", "HEAD", "refs/heads/new");
  const host = await aHost(runtime);
  const front = await aFront(host, { pid: 101, clientPid });
  await front.call("shim_force_checkpoint", { goal: "fix it", project });
  writeFileSync(join(project, "a.txt"), "the last words");
  await front.call("shim_force_checkpoint", { project, files: [join(project, "a.txt")] });
  runtime.processes.kill(clientPid);
  end(front, "stdin_end");
  await front.closed;
  host.host.stop();
  await host.ended;
  const states = tempRuntime({ beside: runtime }).store.read((sql) => column(sql, "SELECT state FROM snapshots"), []);
  expect([states.includes("done"), states.includes("pending")]).toEqual([true, false]);
});

/** The background work is loaded with its first portion. */
async function nextTick(): Promise<void> {
  vi.advanceTimersByTime(2_000);
  await vi.dynamicImportSettled();
}

it("at intervals the process updates its session, and each day it backs up the store", async () => {
  const { runtime, claude } = aChat({ pid: clientPid });
  claude.prompt("fix it");
  const front = await aFront(await aHost(runtime), { pid: 101, clientPid });
  const input = { session_id: claude.session, prompt: "kept aside", prompt_id: "p9" };
  spool.append(runtime.paths.spool, { at: runtime.now(), event: "UserPromptSubmit", client: null, input });
  runtime.wait(400_000);
  await nextTick();
  expect(rowCount(runtime, "checkpoints")).toBe(1);
  expect(drainInto(runtime)).toBe(0);
  const { savedAt, readings } = storedSession(runtime, claude.session);
  expect(savedAt).toBe(runtime.now());
  runtime.wait(5_000);
  await nextTick();
  expect(storedSession(runtime, claude.session).readings).toEqual(readings);
  runtime.wait(90_000_000);
  await nextTick();
  await vi.waitUntil(() => listBackups(runtime.paths.backups).length > 0, patience);
  end(front, "sigterm");
  await front.closed;
});

function aRunner(runtime = tempRuntime(), opened = (): Promise<Runtime> => Promise.resolve(runtime)): OperationRunner {
  const loaded = async () => ({ runtime: await opened(), driver: "node:sqlite", fallbackReason: null }) as const;
  const site = aCliHome().io({ runQuietly: () => ({ code: 0, text: '"1.0.0"' }) });
  const host = new OperationRunner({ paths: runtime.paths, site, loaded, runtime: opened });
  onTestFinished(() => host.close());
  return host;
}

it.for(machineOperationNames)("%s does its example, and its answer is the declared output", async (name) => {
  const { example, output, errors } = machineOperations[name];
  const answer = await aRunner().call(name, example);
  // The store has no id of an example and no sessions for a trial, no example has a secret, and no
  // setting is changed.
  const usual = errors.filter((code) => /^not_found$|^no_edge$|_needed$|^cannot_end$|^switched_off$/.test(code));
  if (!answer.ok) return expect(usual).toContain(answer.error.code);
  expect(answer.ok && output.safeParse(answer.value)).toMatchObject({ success: true, data: answer.ok && answer.value });
});

function refused(message: string): object {
  return { error: { code: "bad_input", message: expect.stringContaining(message) as string } };
}

it("a host refuses wrong input, an unusable file and a store that cannot be opened, with a reason", async () => {
  const runtime = tempRuntime();
  const usage = await aRunner(runtime).call("usage.list", { by: "hour" as never });
  expect(usage).toMatchObject(refused("usage.list: by: one of day, session, project, model, task."));
  const setting = await aRunner(runtime).call("config.get", { key: "recover" });
  expect(setting).toMatchObject(refused('there is no setting "recover"'));
  write("/", { [runtime.paths.config]: "{" });
  const shown = await aRunner(runtime).call("config.show", {});
  expect(shown).toMatchObject({ ok: false, error: { code: "config_invalid" } });
  const full = new StoreError("store_full", "the disk is full; free some space, then try again.");
  const refusal = await aRunner(runtime, () => Promise.reject(full)).call("notices.list", {});
  expect(refusal).toEqual({ ok: false, error: { code: "store_full", message: full.message } });
});

/** A project, and the program of long work, whose git first runs `script`. */
function aRig(script: string) {
  const from = makeProject({ "a.txt": "one\n" });
  const program = join(from.root, "jobs.cjs");
  writeFileSync(program, `void import(${JSON.stringify(pathToFileURL(resolve("src/local-mcp/host/jobs-entry.ts")))});`);
  const env = { ...withGit(from, `${script}\nexec "$GIT" "$@"`), ROOT: from.root };
  const { project, snapshots } = from;
  const input = { env, project, snapshots, checkpointId: "cp1", now: T0, limits: LIMITS };
  const runtime = { startJob: jobsOf(program), processes: systemProcesses };
  const take = (signal?: AbortSignal) => runApart(runtime, "takeSnapshot", takeSnapshot, input, signal);
  return { from, env, runtime, take };
}

it("another process runs git and reads its lists, and the answer is that of a snapshot", async () => {
  const { from, env, runtime, take } = aRig(`echo $PPID >> "$ROOT/parents"`);
  const snapshot = await take();
  expect(snapshot).toMatchObject({ state: "done" });
  const parents = new Set(readFileSync(join(from.root, "parents"), "utf8").trim().split("\n"));
  expect(parents.size).toBe(1);
  expect(parents).not.toContain(String(process.pid));
  const repository = snapshot.state === "done" ? snapshot.repository : "";
  const drop = { env, repository, checkpointIds: ["cp1"], timeoutMs: LIMITS.timeoutMs };
  expect(await runApart(runtime, "dropSnapshots", dropSnapshots, drop)).toEqual({ ok: true, value: { left: 0 } });
  expect(readdirSync(from.snapshots)).toEqual([]);
});

it("a process that dies at its work fails that snapshot alone, and holds up no later one", async () => {
  const { from, take } = aRig(
    `[ -e "$ROOT/home/snapshots" ] && [ ! -e "$ROOT/killed" ] && : > "$ROOT/killed" && kill -9 $PPID`,
  );
  await expect(take()).rejects.toThrow(/takeSnapshot ended .*SIGKILL/);
  expect(await take()).toMatchObject({ state: "done" });
  expect(readdirSync(from.snapshots)).toHaveLength(1);
});

it("a caller that stops it has the reason, and nothing is left behind", async () => {
  const { from, take } = aRig(`[ -e "$ROOT/home/snapshots" ] && : > "$ROOT/works" && exec sleep 600`);
  const abort = new AbortController();
  const watcher = watch(from.root, (_event, name) => void (name === "works" && abort.abort()));
  const snapshot = await take(abort.signal);
  watcher.close();
  expect(snapshot).toEqual({ state: "failed", reason: "stopped before it was done" });
  expect(readdirSync(from.snapshots)).toEqual([]);
  expect(await take(AbortSignal.abort())).toMatchObject({ state: "failed" });
});

it("what a hook waits for is saved beside a save that takes long, not after it", async () => {
  const [large, small] = [makeProject({ "a.txt": "one\n" }), makeProject({ "b.txt": "two\n" })];
  const gate = join(large.root, "gate");
  execFileSync("mkfifo", [gate]);
  const script = `case "$PWD $*" in *${large.root}*) cat '${gate}' 2>/dev/null ;; esac; exec "$GIT" "$@"`;
  const temp = tempRuntime({ env: withGit(small, script) });
  const runtime = { ...temp, processes: systemProcesses };
  const save = (id: string, { project }: GitProject, trigger: Trigger): string => {
    const sighting = { id, client: "test", origin: "handle", project, owner: null, isAlive: true } as const;
    runtime.store.write((sql) => sessions.recordSighting(sql, temp.now(), sighting));
    const saved = capture(runtime, { sessionId: id, trigger, notes: { nextStep: "go on" } });
    if (!saved.ok) throw new Error(saved.error.code);
    return saved.value.checkpoint.id;
  };
  const state = (id: string): unknown =>
    runtime.store.read((sql) => sql.all("SELECT state FROM snapshots WHERE checkpointId = ?", id)[0], undefined);
  const files = new FileSaver();
  const slow = save("large", large, "on_demand");
  const saving = files.save(runtime);
  const awaited = save("small", small, "before_tool");
  await files.saveFor(runtime, "before_tool");
  expect([state(slow), state(awaited)]).toEqual([{ state: "running" }, { state: "done" }]);
  // Lets the git that waits continue, and those after it pass.
  writeFileSync(gate, "");
  rmSync(gate);
  await saving;
  expect(state(slow)).toEqual({ state: "done" });
});
