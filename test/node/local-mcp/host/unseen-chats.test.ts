import { utimesSync } from "node:fs";
import { expect, it, vi } from "vitest";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import * as notices from "#src/store/notices.ts";
import * as pauses from "#src/store/pause.ts";
import { invented, writeSession } from "#harness/clients/invented-sessions.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";
import { aFront, aHost, statusOf } from "#harness/machine/host-rig.ts";
import { patience } from "#harness/machine/programs.ts";
import { aUserLine } from "#harness/machine/transcripts.ts";

type HostRig = Awaited<ReturnType<typeof aHost>>;

const session = "20487890-04b4-4fe0-bbd5-6aa531354563";

function pass({ runtime }: HostRig, ms: number): void {
  runtime.wait(ms);
  vi.advanceTimersByTime(10_000);
}

const noticesOf = ({ runtime }: HostRig): string[] =>
  runtime.store.read((sql) => notices.list(sql), []).map(({ text }) => text);

/** A Claude Code whose hooks are off, as its MCP server sees it. */
async function aSilentChat(host: HostRig) {
  const HOME = temporaryFolder();
  const front = { pid: 101, clientPid: 100, name: "claude-code", env: { HOME, CLAUDE_CODE_SESSION_ID: session } };
  await aFront(host, front);
  await aFront(host, { pid: 201, clientPid: 200 }).then((other) => other.save("a chat with events"));
  return { prompt: () => write(HOME, { [`.claude/projects/-p/${session}.jsonl`]: `${aUserLine("hello")}\n` }) };
}

it("a chat that has a transcript and sends no event is said until one comes; an idle window, and one in a pause, are not", async () => {
  const host = await aHost();
  const chat = await aSilentChat(host);
  const { store, now } = host.runtime;
  const expected = [expect.stringContaining("A chat of Claude Code is there, and no event comes of it")];
  pass(host, 10_000);
  expect(noticesOf(host)).toEqual([]);
  chat.prompt();
  store.write((sql) => pauses.pause(sql, now(), now() + 15_000, null));
  pass(host, 10_000);
  expect(noticesOf(host)).toEqual([]);
  pass(host, 10_000);
  expect(noticesOf(host)).toEqual(expected);
  const [{ silent }] = (await statusOf(host))["chats"] as readonly [{ readonly silent: object }];
  expect(silent).toMatchObject({ client: "Claude Code", isAtWork: true });
  pass(host, 10_000);
  expect(noticesOf(host)).toEqual(expected);
  const about = { session_id: session, cwd: aProject(), hook_event_name: "SessionStart", source: "startup" };
  answerHook(host.runtime, "SessionStart", () => JSON.stringify(about), 100);
  pass(host, 10_000);
  expect(noticesOf(host)).toEqual([]);
});

it("one that is acknowledged is not said again while the chat is there", async () => {
  const host = await aHost();
  const chat = await aSilentChat(host);
  chat.prompt();
  pass(host, 10_000);
  expect(noticesOf(host)).toHaveLength(1);
  host.runtime.store.write((sql) => notices.acknowledge(sql, host.runtime.now(), null));
  pass(host, 10_000);
  expect(noticesOf(host)).toEqual([]);
});

it.each([
  ["codex-mcp-client", "Codex"],
  ["copilot-cli", "Copilot CLI"],
  ["qwen-cli-mcp-client-shim", "Qwen Code"],
  ["gemini-cli-mcp-client", "Gemini CLI"],
])("a silent client that calls itself %s is %s", async (name, client) => {
  const host = await aHost();
  await aFront(host, { pid: 101, clientPid: 100, name });
  expect(await statusOf(host)).toMatchObject({ chats: [{ silent: { client, isAtWork: false } }] });
});

it.each(["codex", "gemini"])(
  "%s is at work without events when it writes a session that none of its windows has",
  async (client) => {
    const host = await aHost();
    const HOME = temporaryFolder();
    await aFront(host, { pid: 101, clientPid: 100, name: client, env: { HOME } });
    const isAtWork = async (): Promise<unknown> => {
      const { chats } = (await statusOf(host)) as { chats: { client: number; silent: { isAtWork: boolean } | null }[] };
      return chats.find((chat) => chat.client === 100)?.silent?.isAtWork;
    };
    const [before, other] = [invented(client, "/p"), invented(client, "/p")];
    utimesSync(writeSession(HOME, before), 0, 0);
    writeSession(HOME, other);
    const window = new Claude(host.runtime, { pid: 200, cwd: aProject(), session: other.id });
    window.start();
    expect(await isAtWork()).toBe(false);
    host.runtime.processes.kill(200);
    expect(await isAtWork()).toBe(true);
  },
);

it.each(["exec", { subagent: { thread_spawn: {} } }])(
  "a session of Codex from %j shows no silent chat",
  async (source) => {
    const host = await aHost();
    const HOME = temporaryFolder();
    await aFront(host, { pid: 101, clientPid: 100, name: "codex-mcp-client", env: { HOME } });
    const session = invented("codex", "/p");
    const [head, ...rows] = session.rows;
    writeSession(HOME, session, [{ ...head, payload: { id: session.id, source } }, ...rows]);
    expect(await statusOf(host)).toMatchObject({ chats: [{ silent: { isAtWork: false } }] });
  },
);

it("a chat that has lost its front is said until its user knows", async () => {
  const host = await aHost();
  const { runtime } = host;
  const claude = new Claude(runtime, { pid: 100, cwd: aProject(), session });
  claude.start();
  claude.prompt("hello");
  const front = await aFront(host, { pid: 101, clientPid: 100, name: "claude-code" });
  await front.save("a note");
  front.connection.destroy();
  await vi.waitUntil(() => (pass(host, 10_000), noticesOf(host).length > 0), patience);
  expect(noticesOf(host)).toEqual([expect.stringContaining("the chat 100 has died")]);
  expect(claude.prompt("go on").systemMessage).toContain("MCP process has died");
  pass(host, 10_000);
  expect(noticesOf(host)).toEqual([]);
});
