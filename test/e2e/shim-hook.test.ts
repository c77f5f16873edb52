import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { adapterOf } from "#src/clients/adapters.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { runningHost } from "#src/local-mcp/host-client/host-client.ts";
import { hostLock } from "#src/platform/host-socket.ts";
import { pathsIn, type Paths } from "#src/platform/paths.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { findAwaited } from "#src/snapshots/stored-snapshots.ts";
import { recording, recordings } from "#harness/clients/recorded-client.ts";
import { makeProject, write } from "#harness/machine/git-project.ts";
import { startHost } from "#harness/machine/host-process.ts";
import { built, envOf, storeOf } from "#harness/machine/mcp-process.ts";
import { hostsOf, killed } from "#harness/machine/process-tree.ts";
import { tempHome } from "#harness/store/temp-store.ts";

const script = join(dirname(built.hook), "shim-hook");
/** The timeout is for what hangs. */
const polling = { timeout: 120_000, interval: 5 };

interface Sent {
  readonly event: string;
  readonly client: string;
  readonly payload: object;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

interface Got {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Way = (sent: Sent) => readonly [command: string, ...args: string[]];

const byProgram: Way = ({ event, client }) => [process.execPath, built.hook, event, "--client", client];
/** No program could answer in the place of the host. */
const byHost: Way = ({ event, client }) => ["/bin/sh", script, "/nonexistent/node", event, "--client", client];

/** A client: it starts a process for each event, one after the other, and is gone afterwards. */
const clientProgram = `const { spawnSync } = require("node:child_process");
const given = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const got = given.map(({ command: [name, ...args], input, env }) => {
  const { status, stdout, stderr } = spawnSync(name, args, { input, env, encoding: "utf8" });
  return { status, stdout, stderr };
});
process.stdout.write(JSON.stringify(got));`;

function chat(paths: Paths, way: Way, events: readonly Sent[]): Got[] {
  const given = events.map((sent) => ({
    command: way(sent),
    input: JSON.stringify(sent.payload),
    env: { ...envOf(paths), CLAUDECODE: undefined, NODE_NO_WARNINGS: "1", ...sent.env },
  }));
  const options = { input: JSON.stringify(given), encoding: "utf8", maxBuffer: 64_000_000 } as const;
  return JSON.parse(execFileSync(process.execPath, ["-e", clientProgram], options)) as Got[];
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

/** Folders, ages and the ids of checkpoints are not the same. */
function same(got: readonly Got[], { home }: Paths): Got[] {
  const plain = (text: string): string =>
    text
      .replaceAll(home, "HOME")
      .replaceAll(/\b\d+ (?:s|min) (?=ago|before)/g, "N s ")
      .replaceAll(/\bcp_[\da-f-]{36}/g, "cp_ID");
  return got.map((one) => ({ ...one, stdout: plain(one.stdout) }));
}

/** In two homes the same chats, one by the host and one by programs. */
async function expectSame(
  chats: readonly (readonly Sent[])[],
  ids: readonly string[],
): Promise<{ got: Got[]; hosted: Paths }> {
  const [hosted, alone] = [tempHome(), tempHome()];
  // What starts by itself may come too late for an event, which is then answered by nobody.
  for (const paths of [hosted, alone]) await startHost(paths);
  const byHosts = chats.flatMap((events) => same(chat(hosted, byHost, events), hosted));
  const byPrograms = chats.flatMap((events) => same(chat(alone, byProgram, events), alone));
  expect(byHosts).toEqual(byPrograms);
  expect(recordOf(hosted, ids)).toEqual(recordOf(alone, ids));
  for (const { home } of [hosted, alone]) expect(readdirSync(home)).not.toContain("spool");
  return { got: byHosts, hosted };
}

const turnEnds = ["Stop", "AfterAgent", "SessionEnd"];

/** All events of a client, in an order in which they may come. @param id of the chat that sends them */
function recorded(client: string, cwd: string, id: string): Sent[] {
  return Object.keys(recordings(client))
    .toSorted((a, b) => rank(a) - rank(b))
    .map((name) => ({ name, event: name.split("-")[0] ?? "" }))
    .filter(({ event }) => adapterOf(client)?.events.includes(event))
    .map(({ name, event }) => {
      const { env, payload } = recording(client, name);
      const own = "session_id" in payload ? { session_id: id } : { sessionId: id };
      return { event, client, env, payload: { ...payload, ...own, cwd } };
    });
}

function rank(name: string): number {
  return name === "SessionStart" ? -1 : turnEnds.indexOf(name) + 1;
}

const [session, second, third] = [1, 2, 3].map((n) => `20487890-04b4-4fe0-bbd5-6aa53135455${n}`) as [
  string,
  string,
  string,
];

it.each(["codex", "copilot", "qwen", "gemini"])(
  "the host answers and records each recorded event of %s as the program does: of a whole chat, of one that dies, and of the next, which gets its brief",
  async (client) => {
    const { project } = makeProject({ "a.txt": "committed" });
    const whole = recorded(client, project, session);
    const died = recorded(client, project, second).filter(({ event }) => !turnEnds.includes(event));
    const next = recorded(client, project, third).slice(0, 1);
    const { got } = await expectSame([whole, died, next], [session, second, third]);
    expect(got.map(({ status, stderr }) => [status, stderr])).toEqual(got.map(() => [0, ""]));
    expect(got.at(-1)?.stdout).toContain("died N s ago");
  },
);

function claudeEvent(cwd: string, event: string, fields: object = {}, id = session): Sent {
  const env = { CLAUDECODE: "1", CLAUDE_CODE_ENTRYPOINT: "cli", CLAUDE_CODE_SESSION_ID: id };
  return { event, client: "claude-code", env, payload: { session_id: id, hook_event_name: event, cwd, ...fields } };
}

it("of Claude Code the host knows the chat by its variables: its brief, its files before a risky tool, a worker's chat, and another client", async () => {
  const { project: folder } = makeProject({ "changed.txt": "committed" });
  write(folder, { "changed.txt": "not committed" });
  // Before both chats.
  utimesSync(join(folder, "changed.txt"), 1_700_000_000, 1_700_000_000);
  const start = (id: string): Sent => claudeEvent(folder, "SessionStart", { source: "startup" }, id);
  const risky = { tool_name: "Bash", tool_use_id: "t1", tool_input: { command: "git reset --hard" } };
  const work = [
    start(session),
    claudeEvent(folder, "UserPromptSubmit", {
      prompt: 'Change the file. It\'s "quoted" \n $(false) 🧩',
      prompt_id: "p1",
    }),
    claudeEvent(folder, "PreToolUse", risky),
  ];
  const worker = start(session.replace("2", "3"));
  const other = start(session.replace("2", "4"));
  const chats = [
    work,
    [{ ...worker, env: { ...worker.env, SHIM_TASK: "task" } }],
    [
      {
        ...other,
        env: { ...other.env, COPILOT_CLI: "1", CLAUDE_CODE_SESSION_ID: session },
        payload: { ...other.payload, timestamp: "2026-11-21" },
      },
    ],
    [start(second)],
  ];
  const { got, hosted } = await expectSame(chats, [session, second]);
  const briefs = got.map(({ stdout }) => stdout.includes("Change the file"));
  expect(briefs).toEqual([false, false, false, false, false, true]);
  expect(storeOf(hosted).read((sql) => findAwaited(sql, Date.now()), undefined)).toBeNull();
  expect(readdirSync(hosted.snapshots)).not.toEqual([]);
});

/** Sends an event as the script does, with what the caller says of itself. */
function post(paths: Paths, path: string, headers: Readonly<Record<string, string>>, body: string): Promise<number> {
  const options = { socketPath: join(paths.home, "host.sock"), method: "POST", path, headers };
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => resolve(response.resume().statusCode ?? 0));
    sent.on("error", reject).end(body);
  });
}

it("the host refuses a caller of another home and one that it cannot see, an unknown client and a body without end", async () => {
  const paths = tempHome();
  await startHost(paths);
  const self = readFileSync("/proc/self/stat", "utf8").trim();
  const own = { "shim-home": `=${paths.home}`, "shim-process": self };
  const body = JSON.stringify(claudeEvent(paths.home, "Stop").payload);
  const stop = (headers: Readonly<Record<string, string>>): Promise<number> =>
    post(paths, "/hook/claude-code/Stop", { ...own, ...headers }, body);
  expect(await stop({})).toBe(200);
  expect(await stop({ "shim-home": "=/home/another/shim" })).toBe(409);
  expect(await stop({ "shim-process": `${process.pid} (sh) S ${process.ppid}` })).toBe(200);
  const fields = self.split(" ");
  const strangers = [fields.with(3, "1"), fields.with(21, "7"), fields.with(0, "4194999"), ["no", "process"]];
  for (const stranger of strangers) expect(await stop({ "shim-process": stranger.join(" ") })).toBe(409);
  expect(await post(paths, "/hook/nobody/Stop", own, body)).toBe(404);
  expect(await post(paths, "/hook/codex/../Stop", own, body)).toBe(404);
  const large = await post(paths, "/hook/codex/Stop", own, "x".repeat(32_000_001)).catch(() => "broken off");
  expect([413, "broken off"]).toContain(large);
});

/** As a client registers it. */
const registered: Way = ({ event, client }) => ["/bin/sh", script, process.execPath, event, "--client", client];

function prompts(paths: Paths): unknown[] {
  return storeOf(paths).read(
    (sql) => journal.list(sql, session, 0).flatMap(({ entry }) => (entry.kind === "prompt" ? [entry.text] : [])),
    [],
  );
}

it("while the host hangs an event waits in the spool, and comes before the next; when the host is gone the program starts another", async () => {
  const paths = tempHome();
  const host = await startHost(paths);
  const [, prompt] = recorded("gemini", dirname(paths.home), session).filter(({ event }) =>
    ["SessionStart", "BeforeAgent"].includes(event),
  );
  if (!prompt) throw new Error("no prompt is recorded");
  const sent = (text: string): Sent => ({ ...prompt, payload: { ...prompt.payload, prompt: text } });
  expect(chat(paths, registered, [sent("to the host")])).toMatchObject([{ status: 0, stderr: "" }]);
  process.kill(host.pid, "SIGSTOP");
  expect(chat(paths, registered, [sent("while it hangs")])).toMatchObject([{ status: 0, stdout: "", stderr: "" }]);
  expect(prompts(paths)).toEqual(["to the host"]);
  process.kill(host.pid, "SIGCONT");
  expect(chat(paths, byHost, [sent("to the host again")])).toMatchObject([{ status: 0, stderr: "" }]);
  expect(prompts(paths)).toEqual(["to the host", "while it hangs", "to the host again"]);
  await killed([host]);
  expect(chat(paths, registered, [sent("without a host")])).toMatchObject([{ status: 0, stderr: "" }]);
  // One that starts too late for the event has it from the spool, before the next event.
  const isServed = async () => {
    const asked = await runningHost({ paths }, "GET", "/status");
    return asked.ok && asked.value.host !== null;
  };
  await vi.waitUntil(isServed, polling);
  expect(chat(paths, byHost, [sent("to the next host")])).toMatchObject([{ status: 0, stderr: "" }]);
  const all = ["to the host", "while it hangs", "to the host again", "without a host", "to the next host"];
  expect(prompts(paths)).toEqual(all);
  expect(readdirSync(paths.spool)).toEqual([]);
});

it("a host that runs again after the program has the event spools it as well: the brief of a start comes with the next prompt @night", async () => {
  const paths = tempHome();
  const host = await startHost(paths);
  const { project } = makeProject({ "a.txt": "committed" });
  const [start, ...events] = recorded("gemini", project, session).filter(({ event }) => !turnEnds.includes(event));
  const [next, ...later] = recorded("gemini", project, second);
  const prompt = later.find(({ event }) => event === "BeforeAgent");
  if (!start || !next || !prompt) throw new Error("no start is recorded");
  chat(paths, byHost, [start, ...events]);
  const node = join(dirname(paths.home), "node");
  const asked = JSON.stringify({ socketPath: join(paths.home, "host.sock"), path: "/status" });
  const status = `'${process.execPath}' -e 'require("node:http").get(${asked}, (answer) => answer.pipe(process.stderr))'`;
  const lines = ["#!/bin/sh", `kill -CONT ${host.pid}`, status, `exec '${process.execPath}' "$@"`, ""];
  writeFileSync(node, lines.join("\n"), { mode: 0o755 });
  process.kill(host.pid, "SIGSTOP");
  const late: Way = ({ event, client }) => ["/bin/sh", script, node, event, "--client", client];
  const [got, answered] = chat(paths, late, [next, prompt]);
  expect(got).toMatchObject({ stdout: "", stderr: expect.stringContaining('"chats":[]') });
  expect(answered?.stdout).toContain("an earlier session died");
});

it("where others may enter the folder of the socket nothing is sent: the event waits in the spool, and the user is told", () => {
  const paths = pathsIn(join(tempHome().home, "x".repeat(120)));
  const temporary = join(dirname(dirname(paths.home)), "t");
  const folder = join(temporary, `shim-${userInfo().uid}`);
  for (const path of [temporary, folder, dirname(paths.home)]) mkdirSync(path);
  chmodSync(folder, 0o777);
  const prompt = claudeEvent(paths.home, "UserPromptSubmit", { prompt: "one", prompt_id: "p1" });
  const [got] = chat(paths, registered, [{ ...prompt, env: { ...prompt.env, TMPDIR: temporary } }]);
  expect(got).toMatchObject({ status: 0, stderr: "", stdout: expect.stringContaining("others may enter it") });
  expect(readdirSync(paths.spool)).toHaveLength(1);
});

it("where no host can be started each event waits in the spool, a second start is not tried, and the user is told; the next host records each once", async () => {
  const paths = tempHome();
  // No database, so that a host cannot take its lock.
  const lock = hostLock(paths.home, systemProcesses.boot());
  mkdirSync(lock, { recursive: true });
  const prompt = (n: number): Sent =>
    claudeEvent(paths.home, "UserPromptSubmit", { prompt: `prompt ${n} ghp_${"0aB".repeat(12)}`, prompt_id: `p${n}` });
  const stop = claudeEvent(paths.home, "Stop", { last_assistant_message: "Done." });
  const [first] = chat(paths, registered, [prompt(1)]);
  expect(JSON.parse(first?.stdout ?? "")).toEqual({
    systemMessage: expect.stringMatching(
      /^SHIM cannot save: no host has started .* Events wait in the spool until it can\./,
    ),
  });
  // One that is slow still writes there why it has not started.
  await vi.waitUntil(() => hostsOf(paths.home).length === 0, polling);
  const logged = readFileSync(join(paths.home, "host.log"), "utf8");
  const [quiet, told] = chat(paths, registered, [stop, prompt(2)]);
  expect([quiet?.stdout, told?.stdout.includes("SHIM cannot save")]).toEqual(["", true]);
  expect(readFileSync(join(paths.home, "host.log"), "utf8")).toBe(logged);
  const waiting = readdirSync(paths.spool);
  expect(waiting).toHaveLength(3);
  expect(waiting.map((name) => readFileSync(join(paths.spool, name), "utf8")).join("")).not.toContain("0aB0aB");
  expect(existsSync(paths.database)).toBe(false);
  rmSync(lock, { recursive: true });
  await startHost(paths);
  expect(prompts(paths)).toHaveLength(2);
  expect(readdirSync(paths.spool)).toEqual([]);
  expect(chat(paths, registered, [stop])).toMatchObject([{ status: 0, stdout: "", stderr: "" }]);
});

/** Each client's prompt. */
const promptEvents = {
  "claude-code": "UserPromptSubmit",
  codex: "UserPromptSubmit",
  copilot: "UserPromptSubmit",
  opencode: "UserPromptSubmit",
  qwen: "UserPromptSubmit",
  gemini: "BeforeAgent",
};
const claudes = { CLAUDECODE: "1", CLAUDE_CODE_ENTRYPOINT: "cli" };

/** A hook in a process group of its own, whose stdin stays open. */
function openHook(paths: Paths, [command, ...args]: ReturnType<Way>, input: string | Buffer): ChildProcess {
  const env = { ...envOf(paths), NODE_NO_WARNINGS: "1", ...claudes };
  const child = spawn(command, args, { env, detached: true });
  child.stdin?.on("error", () => undefined).write(input);
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

function promptOf(text: string): string {
  return JSON.stringify({ session_id: session, cwd: "/nonexistent/p", prompt: text, hook_event_name: "x" });
}

/** Damaged inputs with the prompt that is stored of each. */
const damages: readonly (readonly [said: string, input: string | Buffer])[] = [
  ["behind a mark", `\ufeff${promptOf("behind a mark")}`],
  ["between NULs", `\0${promptOf("between NULs")}\0`],
  ["in UTF-16", Buffer.from(`\ufeff${promptOf("in UTF-16")}`, "utf16le")],
  ["before a text", `${promptOf("before a text")} it's "{`],
  ["the second", `${promptOf("the first")}\n${promptOf("the second")}`],
  [
    "half of it [cut off: the rest did not arrive]",
    promptOf("half of it").slice(0, -'","hook_event_name":"x"}'.length),
  ],
];

it.each(Object.entries(promptEvents))(
  "of %s the host records each prompt of an open and damaged stdin",
  async (client, event) => {
    const paths = tempHome();
    await startHost(paths);
    for (const [, input] of damages) {
      const child = openHook(paths, byHost({ event, client, payload: {} }), input);
      expect(await once(child, "exit")).toEqual([0, null]);
    }
    expect(prompts(paths)).toEqual(expect.arrayContaining(damages.map(([said]) => said)));
    expect(prompts(paths)).toContain("the first");
    expect(readdirSync(paths.unread)).toHaveLength(2);
  },
);

it("without a host, or where perl is missing, the program keeps each prompt of an open and damaged stdin", async () => {
  const paths = tempHome();
  // Where a host cannot take its lock none starts.
  mkdirSync(hostLock(paths.home, systemProcesses.boot()), { recursive: true });
  const ways = [registered, byProgram].map((way) => way({ event: "UserPromptSubmit", client: "codex", payload: {} }));
  for (const way of ways) {
    for (const [, input] of damages) expect(await once(openHook(paths, way, input), "exit")).toEqual([0, null]);
  }
  const waiting = readdirSync(paths.spool).map((name) => readFileSync(join(paths.spool, name), "utf8"));
  for (const [said] of [...damages, ["the first"] as const])
    expect(waiting.filter((text) => text.includes(`"prompt":"${said}"`))).toHaveLength(ways.length);
  expect(waiting.filter((text) => text.includes('"unread"'))).toHaveLength(2 * ways.length);
});

it.each(["SIGTERM", "SIGHUP", "SIGINT"] as const)(
  "%s to the group of the program while it waits for a host: the event waits in the spool",
  async (signal) => {
    const paths = tempHome();
    const host = await startHost(paths);
    process.kill(host.pid, "SIGSTOP");
    const way = byProgram({ event: "UserPromptSubmit", client: "codex", payload: {} });
    const child = openHook(paths, way, promptOf("kept"));
    await vi.waitUntil(() => socketsOf(child.pid) > 3, polling);
    process.kill(-(child.pid ?? 0), signal);
    expect(await once(child, "exit")).toEqual([0, null]);
    process.kill(host.pid, "SIGKILL");
    const waiting = readdirSync(paths.spool).map((name) => readFileSync(join(paths.spool, name), "utf8"));
    expect(waiting).toEqual([expect.stringContaining('"prompt":"kept"')]);
  },
);

/** Open sockets of a process: its stdio, three of them, and its connection to a host. */
function socketsOf(pid: number | undefined): number {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).filter((name) => linkOf(join(folder, name)).startsWith("socket:")).length;
}

/** A handle may be closed between two calls. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
