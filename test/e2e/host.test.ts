import { execFileSync, spawn, type SpawnSyncReturns } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { recordings } from "#harness/clients/recorded-client.ts";
import { makeProject, temporaryFolder } from "#harness/machine/git-project.ts";
import {
  answered,
  built,
  envOf,
  integrityOf,
  nextStepOf,
  spawnServer,
  startServer,
  storeOf,
} from "#harness/machine/mcp-process.ts";
import { lacking, MachineHome } from "#harness/machine/programs.ts";
import { hostsOf, killEvery, killHosts, servingHost, readOrNull } from "#harness/machine/process-tree.ts";
import { remount, smallDisk } from "#harness/store/small-disk.ts";
import { column, tempHome } from "#harness/store/store-test.ts";
import { adapterOf } from "#src/clients/adapters.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { hostLock } from "#src/platform/host-socket.ts";
import type { McpConnection, Message } from "#src/platform/mcp-connection.ts";
import { type Paths, pathsIn } from "#src/platform/paths.ts";
import { isAlive, systemProcesses } from "#src/platform/processes.ts";
import * as spool from "#src/store/spool.ts";

const polling = { timeout: 120_000, interval: 5 };

function toolEnd(server: McpConnection, id: string): Promise<Message> {
  const tool = { session_id: "s1", prompt_id: "p1", tool_name: "Bash", tool_use_id: id, "tool_input.command": id };
  return server.request("tools/call", { name: "shim_hook", arguments: { event: "PostToolUse", ...tool } });
}

function storedEnds(paths: Paths): unknown[] {
  return storeOf(paths).read((sql) => column(sql, "SELECT key FROM journal WHERE kind = 'tool_end' ORDER BY seq"), []);
}

const dist = dirname(built.mcp);
const script = join(dist, "shim-hook");

/** Starts the built host of a home, and waits until it can be found. It is killed with the test. */
async function startHost(paths: Paths): Promise<void> {
  mkdirSync(paths.home, { recursive: true, mode: 0o700 });
  const env = envOf(paths, { CLAUDE_CODE_ENTRYPOINT: "sdk-cli", SHIM_TASK: "of another chat" });
  const child = spawn(process.execPath, [join(dist, "mcp-host.cjs")], { env, stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  await vi.waitUntil(() => existsSync(join(paths.home, "host.sock")), polling);
}

/** A copy of the built programs, with another time of its build. @returns its `mcp.cjs` */
function otherBuild(laterMs: number): string {
  const folder = temporaryFolder();
  const time = /\b1[78]\d{11}\b/.exec(readFileSync(join(dist, "mcp-main.cjs"), "utf8"))?.[0];
  if (time === undefined) throw new Error("the build has no time");
  cpSync(dist, join(folder, "dist"), { recursive: true });
  for (const name of ["node_modules", "package.json"]) symlinkSync(join(dirname(dist), name), join(folder, name));
  const programs = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".cjs"));
  for (const name of programs) {
    const path = join(folder, "dist", name);
    writeFileSync(path, readFileSync(path, "utf8").replaceAll(time, String(Number(time) + laterMs)));
  }
  return join(folder, "dist", "mcp.cjs");
}

it("twenty clients that start at once share one host @night", async () => {
  const machine = new MachineHome();
  const { paths } = machine;
  const servers = Array.from({ length: 20 }, () => spawnServer(paths));
  await Promise.all(servers.map((server) => server.initialize("crowd")));
  const saved = await Promise.all(
    servers.map((server, n) => answered(server, "shim_force_checkpoint", { goal: `chat ${n}`, nextStep: `step ${n}` })),
  );
  // A second host that a slow start caused may still be about to find that the first one has the lock.
  expect((await machine.shim("host", "status")).out).toContain(": 20 chats connected.");
  const store = storeOf(paths);
  saved.forEach(({ checkpoint }, n) => expect(nextStepOf(store, String(checkpoint))).toBe(`step ${n}`));
});

it("a command that changes something ends a host that is stopped, says so, and is done by the next one @night", async () => {
  const machine = new MachineHome();
  expect(await machine.ask("pause")).toBeDefined();
  const first = servingHost(machine.paths.home);
  process.kill(first.pid, "SIGSTOP");
  const { code, err } = await machine.shim("pause");
  expect([code, err]).toEqual([0, expect.stringContaining("did not answer for five seconds, and was ended")]);
  expect(isAlive(systemProcesses, first)).toBe(false);
  await vi.waitFor(() => expect(hostsOf(machine.paths.home)).toHaveLength(1), polling);
});

it("a home that is copied while its host lives is another home: both go on, each with its own host @night", async () => {
  const paths = tempHome();
  const server = await startServer(paths);
  const saved = await answered(server, "shim_force_checkpoint", { goal: "copied", nextStep: "before the copy" });
  const copy = pathsIn(join(tempHome().home));
  mkdirSync(dirname(copy.home), { recursive: true });
  execFileSync("cp", ["-a", paths.home, copy.home]);
  const there = await startServer(copy);
  const savedThere = await answered(there, "shim_force_checkpoint", { goal: "the copy", nextStep: "in the copy" });
  expect(await toolEnd(server, "t1")).toEqual({ content: [] });
  const [store, storeThere] = [storeOf(paths), storeOf(copy)];
  expect(nextStepOf(storeThere, String(saved["checkpoint"]))).toBe("before the copy");
  expect(nextStepOf(storeThere, String(savedThere["checkpoint"]))).toBe("in the copy");
  expect(nextStepOf(store, String(savedThere["checkpoint"]))).toBeNull();
  expect([integrityOf(store), integrityOf(storeThere), storedEnds(paths)]).toEqual([["ok"], ["ok"], ["end:t1"]]);
  const counts = (): number[] => [hostsOf(paths.home).length, hostsOf(copy.home).length];
  await vi.waitFor(() => expect(counts()).toEqual([1, 1]), polling);
});

const lackings = { locks: "its file system has no locks", sockets: "no socket can be made at" } as const;

for (const what of ["locks", "sockets"] as const)
  it(`a home on a disk without ${what} has no host: host.log says why, and events wait in the spool @night`, async (test) => {
    const paths = tempHome();
    expect(prompt(paths, 1, lacking(test, what))).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("host.log"),
    });
    const log = join(paths.home, "host.log");
    await vi.waitFor(() => expect(readFileSync(log, "utf8")).toContain(lackings[what]), polling);
    expect(spool.survey(paths.spool).waiting).toHaveLength(1);
  });

it("in a home that became read-only a chat and its events learn the reason, and it works when it can be written @night", async (test) => {
  const disk = smallDisk(test, 20);
  const paths = pathsIn(join(disk, "home"));
  const first = await startServer(paths);
  await answered(first, "shim_force_checkpoint", { goal: "kept" });
  first.process.kill("SIGKILL");
  await first.ended;
  await killHosts(paths.home);
  // A disk that a process still writes to stays as it is.
  await vi.waitFor(() => remount(disk, "ro"), polling);
  const server = spawnServer(paths);
  await expect(server.initialize("e2e")).rejects.toThrow(/host cannot be started .*(read-only|EROFS)/);
  expect(prompt(paths)).toMatchObject({ status: 0, stdout: expect.stringMatching(/cannot save.*(read-only|EROFS)/) });
  remount(disk, "rw");
  await server.initialize("e2e");
  expect(await toolEnd(server, "t1")).toEqual({ content: [] });
  expect(storedEnds(paths)).toEqual(["end:t1"]);
});

function isBuild(pid: number, program: string): boolean {
  return (readOrNull(`/proc/${pid}/cmdline`) ?? "").includes(dirname(program));
}

it("an upgrade and a downgrade while chats live lose no event: the newer build's host serves both", async () => {
  const paths = tempHome();
  const [older, newer] = [otherBuild(-1_000), otherBuild(1_000)];
  const ids: string[] = [];
  const over = new AbortController();
  const work = async (server: McpConnection, name: string): Promise<void> => {
    for (let n = 0; !over.signal.aborted; n++) {
      expect(await toolEnd(server, `${name}-${n}`)).toEqual({ content: [] });
      ids.push(`end:${name}-${n}`);
    }
  };
  const hostIs = (program: string): Promise<boolean> =>
    vi.waitUntil(() => hostsOf(paths.home).some(({ pid }) => isBuild(pid, program)), polling);
  const more = (count: number): Promise<boolean> => {
    const target = ids.length + count;
    return vi.waitUntil(() => ids.length > target, polling);
  };
  const one = await startServer(paths, { args: [older] });
  const working = [work(one, "older")];
  await hostIs(older);
  const two = await startServer(paths, { args: [newer] });
  working.push(work(two, "newer"));
  await hostIs(newer);
  await more(20);
  // Either front starts the next host: that of the older one is asked to hand over.
  for (let round = 0; round < 2; round++) {
    killEvery(hostsOf(paths.home));
    await hostIs(newer);
    await more(20);
  }
  over.abort();
  await Promise.all(working);
  await vi.waitUntil(() => spool.isEmpty(paths.spool), polling);
  expect(storedEnds(paths)).toHaveLength(ids.length);
  expect(new Set(storedEnds(paths))).toEqual(new Set(ids));
});

interface Sent {
  readonly event: string;
  readonly client: string;
  readonly payload: object;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

type Way = (sent: Sent) => readonly string[];

const byProgram: Way = ({ event, client }) => [process.execPath, built.hook, event, "--client", client];
/** No program could answer instead of the host. */
const byHost: Way = ({ event, client }) => ["/bin/sh", script, "/nonexistent/node", event, "--client", client];
/** As a client registers it. */
const registered: Way = ({ event, client }) => ["/bin/sh", script, process.execPath, event, "--client", client];

/** A client: it starts a process for each event, one after the other, and is gone afterwards. */
const clientProgram = `const { spawnSync } = require("node:child_process");
const given = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const got = given.map(({ command: [name, ...args], input, env }) => {
  const { status, stdout, stderr } = spawnSync(name, args, { input, env, encoding: "utf8" });
  return { status, stdout, stderr };
});
process.stdout.write(JSON.stringify(got));`;

function chat(paths: Paths, way: Way, events: readonly Sent[]) {
  const given = events.map((sent) => ({
    command: way(sent),
    input: JSON.stringify(sent.payload),
    env: { ...envOf(paths), CLAUDECODE: undefined, NODE_NO_WARNINGS: "1", ...sent.env },
  }));
  const options = { input: JSON.stringify(given), encoding: "utf8", maxBuffer: 64_000_000 } as const;
  return JSON.parse(execFileSync(process.execPath, ["-e", clientProgram], options)) as Pick<
    SpawnSyncReturns<string>,
    "status" | "stdout" | "stderr"
  >[];
}

/** What was recorded, without what differs between two homes. */
function recordOf(paths: Paths, ids: readonly string[]): unknown {
  return storeOf(paths).read((sql) => {
    return ids.map((id) => {
      const session = sessions.get(sql, id);
      const entries = journal.list(sql, id, 0).map(({ entry }) => entry);
      return { client: session?.client, project: session?.project, hasOwner: session?.owner !== null, entries };
    });
  }, []);
}

/** Without folders, ages and ids of checkpoints. */
function plain({ stdout, ...rest }: ReturnType<typeof chat>[number], { home }: Paths) {
  const text = stdout.replaceAll(home, "HOME").replaceAll(/\b\d+ (?:s|min) (?=ago|before)/g, "N s ");
  return { ...rest, stdout: text.replaceAll(/\bcp_[\da-f-]{36}/g, "cp_ID") };
}

const turnEnds = ["Stop", "AfterAgent", "SessionEnd"];
const [session = "", second = "", third = ""] = [1, 2, 3].map((n) => `20487890-04b4-4fe0-bbd5-6aa53135455${n}`);

function rank(name: string): number {
  return name === "SessionStart" ? -1 : turnEnds.indexOf(name) + 1;
}

/** All events of a client, in an order in which they may come. @param id of the chat that sends them */
function recorded(client: string, cwd: string, id: string): Sent[] {
  return Object.entries(recordings(client))
    .toSorted(([a], [b]) => rank(a) - rank(b))
    .map(([name, { env, payload }]) => {
      const own = "session_id" in payload ? { session_id: id } : { sessionId: id };
      return { event: name.split("-")[0] ?? "", client, env, payload: { ...payload, ...own, cwd } };
    })
    .filter(({ event }) => adapterOf(client)?.events.includes(event));
}

it.each(["codex", "copilot", "qwen", "gemini"])(
  "the host answers and records each recorded event of %s as the program does: of a whole chat, of one that dies, and of the next, which gets its brief @night",
  async (client) => {
    const { project } = makeProject({ "a.txt": "committed" });
    const died = recorded(client, project, second).filter(({ event }) => !turnEnds.includes(event));
    const chats = [recorded(client, project, session), died, recorded(client, project, third).slice(0, 1)];
    const [hosted, alone] = [tempHome(), tempHome()];
    for (const paths of [hosted, alone]) await startHost(paths);
    const byHosts = chats.flatMap((events) => chat(hosted, byHost, events)).map((got) => plain(got, hosted));
    const byPrograms = chats.flatMap((events) => chat(alone, byProgram, events)).map((got) => plain(got, alone));
    expect(byHosts).toEqual(byPrograms);
    expect(recordOf(hosted, [session, second, third])).toEqual(recordOf(alone, [session, second, third]));
    expect(byHosts.map(({ status, stderr }) => [status, stderr])).toEqual(byHosts.map(() => [0, ""]));
    expect(byHosts.at(-1)?.stdout).toContain("died N s ago");
  },
);

/** A prompt, as Claude Code sends it. */
function prompt(paths: Paths, n = 1, more: NodeJS.ProcessEnv = {}) {
  const env = { CLAUDECODE: "1", CLAUDE_CODE_ENTRYPOINT: "cli", CLAUDE_CODE_SESSION_ID: session, ...more };
  const given = { prompt: `prompt ${n} ghp_${"0aB".repeat(12)}`, prompt_id: `p${n}` };
  const payload = { session_id: session, hook_event_name: "UserPromptSubmit", cwd: dirname(paths.home), ...given };
  return chat(paths, registered, [{ event: "UserPromptSubmit", client: "claude-code", env, payload }])[0];
}

function prompts(paths: Paths): unknown[] {
  const entries = storeOf(paths)
    .read((sql) => journal.list(sql, session, 0), [])
    .map(({ entry }) => entry);
  return entries.flatMap((entry) => (entry.kind === "prompt" ? [entry.text] : []));
}

it("where others may enter the folder of the socket nothing is sent: the event waits in the spool, and the user reads why @night", () => {
  const paths = pathsIn(join(tempHome().home, "x".repeat(120)));
  const temporary = join(dirname(dirname(paths.home)), "t");
  const folder = join(temporary, `shim-${userInfo().uid}`);
  for (const path of [temporary, folder, dirname(paths.home)]) mkdirSync(path);
  chmodSync(folder, 0o777);
  expect(prompt(paths, 1, { TMPDIR: temporary })).toMatchObject({
    status: 0,
    stderr: "",
    stdout: expect.stringContaining("others may enter it"),
  });
  expect(readdirSync(paths.spool)).toHaveLength(1);
});

it("where no host can be started events wait in the spool, redacted, and the user reads it; the next host records each once @night", async () => {
  const paths = tempHome();
  // No database, so that a host cannot take its lock.
  const lock = hostLock(paths.home, systemProcesses.boot());
  mkdirSync(lock, { recursive: true });
  for (const n of [1, 2]) {
    expect(prompt(paths, n)?.stdout).toMatch(
      /SHIM cannot save: no host has started .* Events wait in the spool until it can\./,
    );
  }
  await vi.waitUntil(() => hostsOf(paths.home).length === 0, polling);
  const waiting = readdirSync(paths.spool).map((name) => readFileSync(join(paths.spool, name), "utf8"));
  expect(waiting).toHaveLength(2);
  expect(waiting.join("")).not.toContain("0aB0aB");
  expect(existsSync(paths.database)).toBe(false);
  rmSync(lock, { recursive: true });
  await startHost(paths);
  expect(prompts(paths)).toHaveLength(2);
  expect(readdirSync(paths.spool)).toEqual([]);
});
