import { expect, it, vi } from "vitest";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { ask, aHost } from "#harness/machine/host-rig.ts";
import { patience } from "#harness/machine/programs.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { holdMs } from "#src/contract/hook-limits.ts";
import type { WindowAct } from "#src/contract/window-acts.ts";
import { processHeader, type ActDone } from "#src/clients/adapter/hook-program.ts";
import * as clients from "#src/machine/sessions/clients.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as news from "#src/machine/sessions/news.ts";
import { OpenWindows } from "#src/runtime/open-windows.ts";

const session = "ses_example0002";

/** A host, a chat that has ended a turn, and what its client was told to do. */
async function anIdleChat(client: string, takes: boolean | Promise<boolean> = true) {
  const acts: WindowAct[] = [];
  const take = (_window: unknown, act: WindowAct): Promise<boolean> => {
    if (takes !== false) acts.push(act);
    return Promise.resolve(takes);
  };
  const windows = new OpenWindows(take);
  const config = { answers: { isEnabled: true }, runs: [{ project: "/p" }] };
  const runtime = Object.assign(tempRuntime({ config }), { windows });
  const host = await aHost(runtime, ["setTimeout"]);
  const chat = new RecordedClient(runtime, client);
  const event = (name: string, more: object = {}) => chat.report(name, { session_id: session, cwd: "/p", ...more });
  event("SessionStart", { source: "startup" });
  event("UserPromptSubmit", { prompt: "fix the parser" });
  event("Stop");
  const call = async (name: string, input: object): Promise<Record<string, unknown>> => {
    const asked = { input, env: {}, by: "phone Ada's Pixel" };
    return (JSON.parse((await ask(host.socket, "POST", `/call/${name}`, asked)).body) as { result: never }).result;
  };
  const write = async (text: string, to = session): Promise<unknown> => {
    const { value } = await call("requests.message", { session: to, text });
    return (value as { comes: string }).comes;
  };
  /** A plugin in a process of the client asks what to do. */
  const next = (pid = chat.pid, done?: ActDone) => {
    const stat = `${pid + 1} (sh) S ${pid} ${"0 ".repeat(17)}${runtime.processes.start(pid + 1, pid).start}`;
    const headers = { "shim-home": `=${runtime.paths.home}`, [processHeader]: stat };
    return ask(host.socket, "POST", "/hook/opencode/NextAct", { session_id: session, done }, headers);
  };
  const prompts = (): unknown[] =>
    runtime.store.read((sql) => journal.newest(sql, session, ["prompt"], 9), []).map(({ entry }) => entry);
  const waiting = (): number => runtime.store.read((sql) => news.waitingWords(sql, session).length, 0);
  return { acts, call, event, next, prompts, runtime, waiting, windows, write };
}

it("words to an idle chat are its prompt at once where its client takes one; they count once, with their surface", async () => {
  const { acts, event, prompts, waiting, write } = await anIdleChat("codex");
  expect(await write("and the docs, please")).toBe("now");
  expect([acts, waiting()]).toEqual([[{ prompt: "and the docs, please" }], 1]);
  // The prompt itself, as its client reports it: nothing comes with it.
  expect(event("UserPromptSubmit", { prompt: "and the docs, please" })).toEqual({});
  expect([waiting(), prompts()]).toEqual([
    0,
    [
      { kind: "prompt", text: "and the docs, please", from: "phone Ada's Pixel" },
      { kind: "prompt", text: "fix the parser" },
    ],
  ]);
  // A chat that works reads them when its turn ends, as before.
  expect([await write("then commit"), acts.length]).toEqual(["stop", 1]);
});

it("words that quote what clients and SHIM add to prompts are delivered by their prompt, too", async () => {
  const { event, prompts, waiting, write } = await anIdleChat("codex");
  const added = "<environment_context>\n<cwd>/p</cwd>\n</environment_context>\n";
  const fence = "shim-user-message-ses_exam";
  for (const text of [`${added}why this?`, `and this?\nSHIM: your user writes.\n<${fence}>\nhi\n</${fence}>`]) {
    expect(await write(text)).toBe("now");
    expect([event("UserPromptSubmit", { prompt: text }), waiting()]).toEqual([{}, 0]);
    event("Stop");
  }
  expect(prompts()).toMatchObject([{ text: "and this?" }, { text: "why this?" }, { text: "fix the parser" }]);
});

it("words that look like a client's notice are a prompt of the user, and come once", async () => {
  const { event, prompts, waiting, write } = await anIdleChat("codex");
  for (const text of [
    "<turn_aborted> is what I read. Why?",
    "<task-notification><task-id>b1</task-id><status>failed</status></task-notification> stands here",
  ]) {
    expect(await write(text)).toBe("now");
    expect([event("UserPromptSubmit", { prompt: text }), waiting(), prompts()[0]]).toEqual([
      {},
      0,
      { kind: "prompt", text, from: "phone Ada's Pixel" },
    ]);
    event("Stop");
  }
  event("UserPromptSubmit", { prompt: "<turn_aborted> by the client" });
  expect(prompts()).toHaveLength(3);
});

it("words that a client is being given come with no prompt that is typed meanwhile, and with the next one where it has not taken them", async () => {
  const answer = Promise.withResolvers<boolean>();
  const { acts, event, waiting, write } = await anIdleChat("codex", answer.promise);
  const written = write("and the docs");
  await expect.poll(() => acts.length, patience).toBe(1);
  expect([event("UserPromptSubmit", { prompt: "hello" }), event("Stop"), waiting()]).toEqual([{}, {}, 1]);
  answer.resolve(false);
  expect(await written).toBe("prompt");
  expect(JSON.stringify(event("UserPromptSubmit", { prompt: "once more" }))).toContain("and the docs");
});

it("words that a client has taken and never had as a prompt, or has not taken, come with the next prompt", async () => {
  for (const takes of [true, false]) {
    const { event, prompts, waiting, write } = await anIdleChat("codex", takes);
    expect(await write("and the docs")).toBe(takes ? "now" : "prompt");
    expect(JSON.stringify(event("UserPromptSubmit", { prompt: "hello" }))).toContain("and the docs");
    expect([waiting(), prompts().length]).toEqual([0, 3]);
  }
  const { acts, write } = await anIdleChat("gemini");
  expect([await write("and the docs"), acts]).toEqual(["prompt", []]);
});

it("a plugin that waits in its client's process gets one act at a time; the newest of two that wait", async () => {
  const { call, event, next, windows, write } = await anIdleChat("opencode");
  expect(await write("nobody waits")).toBe("prompt");
  const gone = new AbortController();
  const old = windows.next(() => session, gone.signal);
  const posted = next();
  await expect.poll(() => windows.waiting(session), patience).toBe(2);
  const written = write("and the docs");
  expect(JSON.parse((await posted).body)).toEqual({ number: 1, act: { prompt: "and the docs" } });
  event("UserPromptSubmit", { prompt: "and the docs" });
  windows.report(1, true);
  expect(await written).toBe("now");
  const stopped = call("runs.stop", { run: session });
  expect(await old).toEqual({ number: 2, act: { stop: true } });
  windows.report(2, true);
  expect(await stopped).toEqual({ ok: true, value: { run: null, session } });
});

it("words that a plugin's client refuses, or of which it reports nothing in time, wait for the next prompt", async () => {
  const { event, next, waiting, windows, write } = await anIdleChat("opencode");
  const written = async (text: string) => {
    const posted = next();
    await expect.poll(() => windows.waiting(session), patience).toBe(1);
    const answer = write(text);
    const { number } = JSON.parse((await posted).body) as { number: number };
    return { answer, number };
  };
  const refused = await written("and the docs");
  const asks = next(undefined, { number: refused.number, isTaken: false });
  expect(await refused.answer).toBe("prompt");
  await expect.poll(() => windows.waiting(session), patience).toBe(1);
  vi.advanceTimersByTime(holdMs);
  await asks;
  const unheard = await written("then commit");
  vi.advanceTimersByTime(5_000);
  expect(await unheard.answer).toBe("prompt");
  windows.report(unheard.number, true);
  expect(waiting()).toBe(2);
  const answer = JSON.stringify(event("UserPromptSubmit", { prompt: "hello" }));
  expect([answer.includes("and the docs"), answer.includes("then commit")]).toEqual([true, true]);
});

it("of two processes that have one session of OpenCode open each gets the acts of its own chat, whichever waited last", async () => {
  const { call, next, runtime, windows, write } = await anIdleChat("opencode");
  const other = new RecordedClient(runtime, "opencode", 2_500);
  const second = next(other.pid);
  await expect.poll(() => windows.waiting(session), patience).toBe(1);
  other.report("SessionStart", { session_id: session, cwd: "/p", source: "resume" });
  other.report("UserPromptSubmit", { session_id: session, cwd: "/p", prompt: "look around" });
  const first = next();
  await expect.poll(() => windows.waiting(session), patience).toBe(1);
  const [fork = ""] = runtime.store.read((sql) => clients.otherWindows(sql, { id: session, parentId: null }), []);
  expect([fork === "", windows.waiting(fork)]).toEqual([false, 1]);
  const stopped = call("runs.stop", { run: fork });
  expect(JSON.parse((await second).body)).toEqual({ number: 1, act: { stop: true } });
  windows.report(1, true);
  expect(await stopped).toMatchObject({ ok: true });
  const written = write("and the docs");
  expect(JSON.parse((await first).body)).toEqual({ number: 2, act: { prompt: "and the docs" } });
  windows.report(2, true);
  expect(await written).toBe("now");
});

const stopped = { continue: false, stopReason: "SHIM: you have stopped this turn from elsewhere." };
const reason = "the user has stopped this turn from elsewhere.";
const refusal = { hookEventName: "PreToolUse", permissionDecision: "deny", permissionDecisionReason: reason };

/** A chat of Claude Code in a turn, which `stop` ends. */
async function aTurn() {
  const { call, event, runtime } = await anIdleChat("claude-code");
  const tool = (name: string, id: string, more: object = {}) =>
    event(name, { tool_name: "Bash", tool_use_id: id, tool_input: { command: id }, prompt_id: "p1", ...more });
  const stop = () => call("runs.stop", { run: session });
  const prompt = (text: string, id: string) => event("UserPromptSubmit", { prompt: text, prompt_id: id });
  const kinds = (): string[] =>
    runtime.store
      .read((sql) => journal.newest(sql, session, ["interrupted", "prompt"], 9), [])
      .map(({ entry }) => entry.kind);
  return { event, kinds, prompt, runtime, stop, tool };
}

it("a client that ends its turn with a hook alone does so with the end of its call, and begins no other call of the turn", async () => {
  const { kinds, prompt, runtime, stop, tool } = await aTurn();
  expect(await stop()).toMatchObject({ error: { code: "ended" } });
  prompt("build it", "p1");
  tool("PreToolUse", "t1");
  expect(await stop()).toMatchObject({ ok: true });
  expect(tool("PostToolUse", "t1", { tool_response: {} })).toEqual(stopped);
  // Calls of the same answer of the model.
  expect(tool("PreToolUse", "t2")).toEqual({ ...stopped, hookSpecificOutput: refusal });
  expect(tool("PreToolUse", "t3")).toMatchObject(stopped);
  const failed = runtime.store.read((sql) => journal.newest(sql, session, ["tool_error"], 9), []);
  expect(failed.map(({ entry }) => entry)).toMatchObject([
    { input: "t3", text: reason, isRefused: true },
    { input: "t2", text: reason, isRefused: true },
  ]);
  expect(kinds()).toEqual(["interrupted", "prompt", "prompt"]);
});

it("a stop while no call runs refuses the next call", async () => {
  const { kinds, prompt, stop, tool } = await aTurn();
  prompt("build it", "p1");
  await stop();
  expect(tool("PreToolUse", "t1")).toEqual({ ...stopped, hookSpecificOutput: refusal });
  expect(kinds()[0]).toBe("interrupted");
});

it("a prompt that is typed while a call runs does not undo the stop, and its own turn is not stopped", async () => {
  const { prompt, stop, tool } = await aTurn();
  prompt("build it", "p1");
  tool("PreToolUse", "t1");
  await stop();
  prompt("then look around", "p1");
  expect(tool("PostToolUse", "t1", { tool_response: {} })).toEqual(stopped);
  expect(tool("PreToolUse", "t2", { prompt_id: "p2" })).toEqual({});
});

it("a turn that was over before its stop came is left alone, and so is the next one", async () => {
  const { event, prompt, stop, tool } = await aTurn();
  prompt("once more", "p1");
  await stop();
  event("Stop");
  prompt("and again", "p2");
  expect(tool("PreToolUse", "t1", { prompt_id: "p2" })).toEqual({});
});

it("a stop denies what its chat asks, and what it asks then", async () => {
  const { prompt, runtime, stop, tool } = await aTurn();
  prompt("publish it", "p1");
  tool("PreToolUse", "t1");
  const request = { id: "k3v9", session, agent: null, tool: "Bash", kind: "permission", questions: [], decisions: [] };
  const open = {
    ...request,
    grant: null,
    toolInput: {},
    run: null,
    text: "t1",
    reason: null,
    askedAt: 0,
    endsAt: 9e15,
  };
  const decided = runtime.permissions.open({ ...open, kind: "permission" });
  await stop();
  const deny = { behavior: "deny", interrupt: true };
  expect(await decided).toMatchObject(deny);
  expect(tool("PermissionRequest", "t2")).toMatchObject({ hookSpecificOutput: { decision: deny } });
});

it("a stop refuses the calls of sub-agents, also of those that work on behind the turn", async () => {
  const { event, prompt, stop, tool } = await aTurn();
  prompt("build it", "p1");
  const agent = { tool_name: "Agent", tool_input: { description: "look", prompt: "look" } };
  tool("PreToolUse", "t1", agent);
  tool("PostToolUse", "t1", { ...agent, tool_response: { isAsync: true, agentId: "a1" } });
  event("Stop");
  expect(tool("PreToolUse", "t2", { agent_id: "a1", agent_type: "general-purpose" })).toEqual({});
  expect(await stop()).toMatchObject({ ok: true });
  expect(tool("PostToolUse", "t2", { agent_id: "a1", agent_type: "general-purpose", tool_response: {} })).toEqual({});
  expect(tool("PreToolUse", "t3", { agent_id: "a1", agent_type: "general-purpose" })).toMatchObject(stopped);
});

it("a stop that was sent ends the turn also where its note cannot be stored", async () => {
  const { call, event, runtime } = await anIdleChat("claude-code");
  const ended = (id: string) =>
    event("PostToolUse", { tool_name: "Bash", tool_use_id: id, tool_input: { command: "ls" }, tool_response: {} });
  event("UserPromptSubmit", { prompt: "build it" });
  expect(await call("runs.stop", { run: session })).toMatchObject({ ok: true });
  const full = `CREATE TRIGGER full BEFORE INSERT ON journal WHEN NEW.kind = 'interrupted'
    BEGIN SELECT RAISE(ABORT, 'disk is full'); END`;
  runtime.store.write((sql) => void sql.run(full));
  expect(ended("t1")).toMatchObject({ continue: false });
  expect(runtime.logged).toContainEqual(expect.stringContaining("the stop was not stored"));
});

it("a plugin that has waited in vain is answered that there is nothing, so that it asks again at once", async () => {
  const { next, windows } = await anIdleChat("opencode");
  const posted = next();
  await expect.poll(() => windows.waiting(session), patience).toBe(1);
  vi.advanceTimersByTime(holdMs);
  expect(JSON.parse((await posted).body)).toEqual({ none: true });
});
