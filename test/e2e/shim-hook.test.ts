import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { expect, it, vi } from "vitest";
import { adapterOf } from "#src/clients/adapters.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { hostLock } from "#src/platform/host-socket.ts";
import { pathsIn, type Paths } from "#src/platform/paths.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { recordings } from "#harness/clients/recorded-client.ts";
import { makeProject } from "#harness/machine/git-project.ts";
import { startHost, built, envOf, storeOf } from "#harness/machine/mcp-process.ts";
import { hostsOf } from "#harness/machine/process-tree.ts";
import { tempHome } from "#harness/store/store-test.ts";

const script = join(dirname(built.hook), "shim-hook");
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

/** Without folders, ages and ids of checkpoints. */
function plain({ stdout, ...rest }: Got, { home }: Paths): Got {
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

function claudePrompt(paths: Paths, n: number): Sent {
  const env = { CLAUDECODE: "1", CLAUDE_CODE_ENTRYPOINT: "cli", CLAUDE_CODE_SESSION_ID: session };
  const prompt = { prompt: `prompt ${n} ghp_${"0aB".repeat(12)}`, prompt_id: `p${n}` };
  const payload = { session_id: session, hook_event_name: "UserPromptSubmit", cwd: paths.home, ...prompt };
  return { event: "UserPromptSubmit", client: "claude-code", env, payload };
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
  const prompt = claudePrompt(paths, 1);
  const [got] = chat(paths, registered, [{ ...prompt, env: { ...prompt.env, TMPDIR: temporary } }]);
  expect(got).toMatchObject({ status: 0, stderr: "", stdout: expect.stringContaining("others may enter it") });
  expect(readdirSync(paths.spool)).toHaveLength(1);
});

it("where no host can be started events wait in the spool, redacted, and the user reads it; the next host records each once @night", async () => {
  const paths = tempHome();
  // No database, so that a host cannot take its lock.
  const lock = hostLock(paths.home, systemProcesses.boot());
  mkdirSync(lock, { recursive: true });
  for (const n of [1, 2]) {
    const [got] = chat(paths, registered, [claudePrompt(paths, n)]);
    expect(got?.stdout).toMatch(/SHIM cannot save: no host has started .* Events wait in the spool until it can\./);
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
