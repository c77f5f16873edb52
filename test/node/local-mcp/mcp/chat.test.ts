import { expect, it } from "vitest";
import { aChat, aDeadClaude, anotherClaude, aProject, Claude, claimOf } from "#harness/machine/claude.ts";
import { journalKinds, stateOf, storedSession } from "#harness/machine/claude.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { git, GIT_ENV, makeProject } from "#harness/machine/git-project.ts";
import { aDeadChat, connect, desktop, type Connected, type Answer } from "#harness/machine/mcp-process.ts";
import { listCrashes, tempRuntime } from "#harness/machine/temp-runtime.ts";
import { recordDeaths } from "#src/machine/recovery/incomplete/deaths.ts";
import { readState } from "#src/machine/recovery/session-state.ts";

const sessionOf = async ({ call }: Connected): Promise<string> => named(await call("shim_session_status"));
const named = ({ output }: Answer): string => String(output["session"]);

it("a client without session ids gets a handle with its first call, which lives as long as the process", async () => {
  const client = await desktop();
  const { runtime, call, server } = client;
  const session = await sessionOf(client);
  expect(session).toMatch(/^ses_/);
  const again = await call("shim_auto_checkpoint", { doing: "reading" });
  expect(again.output).toMatchObject({ session, saved: true, reason: "on_demand" });
  expect(storedSession(runtime, session)).toMatchObject({ client: "claude-ai", origin: "handle", owner: server });
});

it("in one process each project has its own session", async () => {
  const { ask, refusal, chat } = await desktop(tempRuntime());
  const [p, q] = [aProject(), aProject()];
  const of = async (project?: string): Promise<string> =>
    named(await ask("shim_auto_checkpoint", { doing: "x", ...(project ? { project } : {}) }));
  const first = await of();
  expect(await of(p)).toBe(first);
  const second = await of(q);
  expect(second).not.toBe(first);
  expect([await of(p), await of(q), await of()]).toEqual([first, second, second]);
  expect(new Set(chat.servedSessions())).toEqual(new Set([first, second]));
  expect(await refusal("shim_session_status", { project: "relative" })).toContain("bad_project");
});

it("where hooks or the environment know the session, the tools work on it, also after /clear", async () => {
  const { runtime, claude } = aChat({ pid: 400 });
  claude.start();
  const connected = await connect(runtime, { clientPid: 400 });
  expect(await sessionOf(connected)).toBe(claude.session);
  claude.clear("5c1e0000-0000-4000-8000-000000000001");
  expect(await sessionOf(connected)).toBe(claude.session);
  const project = aProject();
  const bare = tempRuntime({ env: { CLAUDE_CODE_SESSION_ID: "from-the-environment", CLAUDE_PROJECT_DIR: project } });
  const { output } = await (await connect(bare)).ask("shim_session_status");
  expect(output).toMatchObject({ session: "from-the-environment", project });
});

it("a detailed status names the newest five effects that cannot be undone, each with what its remote answers now", async () => {
  const { root, project: cwd } = makeProject({ "a.txt": "a" });
  git(root, "init", "-q", "--bare", "-b", "main", "remote");
  git(cwd, "remote", "add", "origin", "../remote");
  const runtime = tempRuntime({ env: GIT_ENV });
  const claude = new Claude(runtime, { cwd, pid: 400 });
  claude.start();
  claude.prompt("release it");
  const programs = ["fly", "vercel", "fly", "netlify", "fly"];
  for (const program of programs) claude.use("Bash", { command: `${program} deploy` });
  claude.use("Bash", { command: "git push origin main" });
  claude.stop();
  const { ask } = await connect(runtime, { clientPid: 400 });
  expect((await ask("shim_session_status")).output).not.toHaveProperty("effects");
  const { output } = await ask("shim_session_status", { detail: "detailed" });
  const effects = (output["effects"] as string[]).map((line) => line.replace(/^.* ago: /, ""));
  const commit = `(commit ${git(cwd, "rev-parse", "HEAD").slice(0, 12)})`;
  expect(effects).toEqual([
    `git push origin main ${commit}: done; asked now: origin has no main`,
    ...["fly", "netlify", "fly", "vercel"].map((program) => `${program} deploy ${commit}: done`),
  ]);
});

it("behind wrappers the tools follow the client's /clear; a process that is no ancestor is not taken for it", async () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject(), pid: 400 });
  const given = claude.session;
  const server = tempRuntime({ beside: runtime, env: { CLAUDE_CODE_SESSION_ID: given } });
  runtime.processes.start(410, 400);
  runtime.processes.start(420, 410);
  const behind = await connect(server, { clientPid: 420, serverPid: 500 });
  const apart = await connect(server, { clientPid: 600, serverPid: 700 });
  claude.start();
  expect([await sessionOf(behind), await sessionOf(apart)]).toEqual([given, given]);
  claude.clear("5c1e0000-0000-4000-8000-000000000001");
  expect([await sessionOf(behind), await sessionOf(apart)]).toEqual([claude.session, given]);
  expect([behind.chat.client?.pid, storedSession(runtime, claude.session).owner?.pid]).toEqual([400, 400]);
});

it("a call that works on a session by its handle continues it: open again, and owned by this process", async () => {
  const runtime = tempRuntime();
  const dead = await aDeadChat(runtime);
  const { ask, call, refusal, chat, server } = await desktop(runtime);
  const saved = await ask("shim_force_checkpoint", { session: dead.slice(0, 30), done: ["the importer"] });
  expect(saved.output).toMatchObject({ session: dead });
  expect(storedSession(runtime, dead)).toMatchObject({ owner: server, ending: null });
  expect(chat.servedSessions()).toContain(dead);
  for (const session of ["unknown-session", "ses_", ""])
    expect(await refusal("shim_force_checkpoint", { session, goal: "g" })).toContain("unknown_session");
  const second = await aDeadChat(runtime, "other");
  const both = Array.from(dead).findIndex((char, index) => char !== second[index]);
  const { text } = await call("shim_session_status", { session: dead.slice(0, Math.max(8, both)) });
  expect(text).toContain("matches several sessions");
});

it("a chat continues a dead session by its name, also one that another chat was offered", async () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  const offered = anotherClaude(runtime, dead);
  expect(offered.start()).toContain(dead.session);
  const claude = anotherClaude(runtime, dead, { pid: 400, session: "next-session" });
  claude.start();
  const { ask } = await connect(runtime, { clientPid: 400 });
  const take = { of: dead.session, take: true };
  expect((await ask("shim_check_recovery", take)).text).toContain("ago: fix the parser");
  const by = "next-session";
  offered.turn("go on");
  expect(claimOf(runtime, dead.session)).toMatchObject({ is: "taken", by });
  claude.turn("go on");
  expect(claimOf(runtime, dead.session)).toMatchObject({ is: "recovered", by });
  await ask("shim_check_recovery", take);
});

it("a chat that takes a session, by a tool or its user's word, has all of the fresh summary of which the brief had a part", async () => {
  const boards = Array.from(
    { length: 120 },
    (_, n) => `   - board ${n} of the deck was sanded and oiled, but for its ends`,
  );
  const summary = ["1. Primary Request and Intent:", "   Oil the deck.", "2. Key Concepts:", ...boards].join("\n");
  const claimed = async (how: "tool" | "word"): Promise<readonly [brief: string, taken: string]> => {
    const runtime = tempRuntime();
    const dead = new Claude(runtime, { cwd: aProject() });
    dead.turn("oil the deck");
    dead.compact(summary);
    dead.kill();
    const next = anotherClaude(runtime, dead, { pid: 400, session: "next-session" });
    const brief = next.start();
    if (how === "word") return [brief, JSON.stringify(next.prompt("continue"))];
    const { ask } = await connect(runtime, { clientPid: 400 });
    return [brief, (await ask("shim_check_recovery", { of: dead.session, take: true })).text];
  };
  for (const how of ["tool", "word"] as const) {
    const [brief, taken] = await claimed(how);
    expect(brief).toContain("board 0 of the deck");
    expect(brief).not.toContain("board 119 of the deck");
    expect(taken).toContain(">    - board 119 of the deck was sanded and oiled, but for its ends");
    expect(taken.length).toBeLessThan(22_000);
  }
});

it("what cannot be continued is refused with what to do, and stays as it was", async () => {
  const runtime = tempRuntime({ config: { recovery: "resume" } });
  const continued = aDeadClaude(runtime);
  const running = anotherClaude(runtime, continued, { session: "running-session" });
  running.start();
  running.turn("go on");
  anotherClaude(runtime, continued, { pid: 400, session: "next-session" }).start();
  const { refusal } = await connect(runtime, { clientPid: 400 });
  const take = (of?: string) => refusal("shim_check_recovery", { ...(of ? { of } : {}), take: true });
  const undo = `If the user wants it here: \`shim resume --undo ${continued.session}\`, then again.`;
  expect(await take(continued.session)).toContain(`is continued by chat running-session. ${undo}`);
  expect(await take("running-session")).toContain("running-session is still running (pid ");
  expect(await take("next-session")).toContain("next-session is this chat itself.");
  expect(await take()).toContain('No session of this project died unfinished; pass "of" to name another.');
  expect(claimOf(runtime, continued.session)?.by).toBe("running-session");
});

it("asked for recovery, a chat gets the newest session of its project, stays with it, and sees the others", async () => {
  const runtime = tempRuntime();
  const dead = await aDeadChat(runtime);
  const { session } = aDeadClaude(runtime, "other project");
  const { call, refusal } = await desktop(runtime);
  const recover = (input = {}): Promise<Answer> => call("shim_check_recovery", input);
  const { text, output } = await recover();
  const other = { session, title: "other project", cause: "killed" };
  expect(output["incomplete"]).toMatchObject([{ session: dead, offeredHere: true }, other]);
  expect(output["brief"]).toBe(text);
  expect(text).toContain("ago): write the importer");
  expect((await recover()).text).toContain("ago): write the importer");
  await call("shim_auto_checkpoint", { doing: "something else" });
  expect(claimOf(runtime, dead)?.is).toBe("offered");
  expect((await recover({ take: true })).text).toContain("ago): write the importer");
  await call("shim_auto_checkpoint", { doing: "going on" });
  expect(claimOf(runtime, dead)?.is).toBe("recovered");
  const none = 'No session of this project died unfinished; 1 elsewhere (pass "of" for a brief).';
  expect((await recover()).text).toBe(none);
  expect((await recover({ of: session })).text).toContain("s ago: other project");
  expect(claimOf(runtime, session)).toBeNull();
  expect(await refusal("shim_check_recovery", { of: "unknown" })).toContain('Call without "of"');
});

const listed = async ({ ask }: Connected): Promise<string> => (await ask("shim_check_recovery", { list: true })).text;
const row = (name: string, { session, cwd }: Claude, offered = ""): string =>
  `\n- "${name}" (${session}) in ${cwd}, 0 s ago: killed${offered}`;

it("a list names each dead session with its place, cause and offer, and offers none; a brief says why its client cannot continue one", async () => {
  const runtime = tempRuntime();
  const client = await desktop(runtime);
  expect(await listed(client)).toBe("No session died unfinished.");
  const dead = aDeadClaude(runtime);
  const other = aDeadClaude(runtime, 'the "other" project', { session: "5c1e0000-0000-4000-8000-000000000001" });
  anotherClaude(runtime, dead, { pid: 400, session: "next-session" }).start();
  const head = "Sessions that died unfinished:";
  const apart = row("the 'other' project", other);
  const toOther = row("fix the parser", dead, "; offered to chat next-session, 0 s ago");
  expect(await listed(client)).toBe(head + apart + toOther);
  // Those of its own project come first.
  const here = row("fix the parser", dead, "; offered to this chat");
  expect(await listed(await connect(runtime, { clientPid: 400 }))).toBe(head + here + apart);
  expect(claimOf(runtime, other.session)).toBeNull();
  for (const more of [{ take: true }, { dismiss: true }, { of: dead.session }])
    expect(await client.refusal("shim_check_recovery", { list: true, ...more })).toContain("Pass list alone");
  const obstacle = `Its client cannot continue it (deleted): ${other.transcript} is no longer there, and Claude Code has no other file of it. The user can, in a terminal: \`shim rescue 5c1e0000\`.`;
  const { text, output } = await client.ask("shim_check_recovery", { of: other.session });
  expect([text.endsWith(`\n${obstacle}`), output["message"]]).toEqual([true, obstacle]);
});

it.each([
  ["only the dead chat names a project", { dead: ["p"], next: {} }, true],
  ["only the new chat names a project", { dead: [undefined], next: { project: "p" } }, true],
  ["the dead chat of its project is older", { dead: ["p", undefined], next: { project: "p" } }, true],
  ["the dead chat is of another project", { dead: ["q"], next: { project: "p" } }, false],
])("without hooks a dead chat is offered by project: %s", async (_, chats, isOffered) => {
  const runtime = tempRuntime();
  const folders: Record<string, string> = { p: aProject(), q: aProject() };
  for (const [n, project] of chats.dead.entries()) {
    const { ask, server } = await desktop(runtime, 500 + n);
    await ask("shim_force_checkpoint", { goal: `work ${n}`, ...(project ? { project: folders[project] } : {}) });
    runtime.processes.kill(server.pid);
    runtime.wait(60_000);
  }
  const input = "project" in chats.next ? { project: folders["p"] } : {};
  const { text } = await (await desktop(runtime, 700)).ask("shim_session_status", input);
  expect(text.includes("ago): work 0")).toBe(isOffered);
  expect(text.includes("recovered data")).toBe(isOffered);
});

it("when the user says no the model dismisses the offer, and the next chat is given nothing of it", async () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  const of = dead.session;
  const chat = anotherClaude(runtime, dead);
  const instruction = `shim_check_recovery (of "${of}", take true), unless SHIM says that this chat has it; `;
  expect(chat.start()).toContain(`${instruction}when the user does not want it, with dismiss true`);
  const { ask, refusal } = await connect(runtime, { clientPid: chat.pid });
  expect(await refusal("shim_check_recovery", { of, dismiss: true, take: true })).toContain("not both");
  const id = of.slice(0, 8);
  const { text, output } = await ask("shim_check_recovery", { of: id, dismiss: true });
  expect(text).toContain(`(${of}) is no longer offered. The user can undo this: \`shim resume --undo ${id}\`.`);
  expect(output["brief"]).toBeUndefined();
  expect(claimOf(runtime, of)?.is).toBe("dismissed");
  expect(anotherClaude(runtime, dead, { pid: 6_000, session: "next-session" }).start()).toBe("");
});

it("a chat that begins in an app whose session has work gets one of its own; the others are named to it", async () => {
  const { ask, chat } = await desktop();
  const start = async (input = {}): Promise<Answer> => ask("shim_check_recovery", { start: true, ...input });
  const first = named(await start());
  expect(named(await start())).toBe(first);
  await ask("shim_force_checkpoint", { goal: "write the importer" });
  const answer = await start();
  const second = named(answer);
  expect(second).not.toBe(first);
  expect(answer.text).toContain(`"write the importer" (${first})`);
  expect((await ask("shim_check_recovery", { of: first })).text).toContain("ago): write the importer");
  expect(named(await ask("shim_force_checkpoint", { goal: "test it" }))).toBe(second);
  expect(named(await ask("shim_force_checkpoint", { session: first, done: ["it"] }))).toBe(first);
  // A chat that names a project does not get the session of one that names none.
  const third = named(await start({ project: aProject() }));
  expect([first, second]).not.toContain(third);
  expect(chat.servedSessions()).toEqual(expect.arrayContaining([first, second, third]));
  expect(named(await start({ session: first }))).toBe(first);
});

it("any tool as the first call of a chat brings the brief once, also after a refusal", async () => {
  for (const [tool, input] of Object.entries({
    shim_check_recovery: { start: true },
    shim_auto_checkpoint: { user: ["hello"] },
    shim_force_checkpoint: { goal: "x" },
    shim_monitor_signals: {},
    shim_session_status: {},
    shim_clear_state: { scope: "notices", confirm: "yes, delete" },
  })) {
    const runtime = tempRuntime();
    await aDeadChat(runtime);
    const { ask, refusal } = await desktop(runtime);
    expect(await refusal("shim_session_status", { session: "unknown" })).not.toContain("recovered data");
    expect((await ask(tool, input)).text.split("ago): write the importer"), tool).toHaveLength(2);
    expect((await ask("shim_session_status")).text).not.toContain("recovered data");
  }
});

it("the session is named by the client's own variable, not by that of the chat which started the client", async () => {
  const variables = {
    "claude-code": "CLAUDE_CODE_SESSION_ID",
    "copilot-cli": "COPILOT_AGENT_SESSION_ID",
    "qwen-cli-mcp-client-shim": "QWEN_CODE_SESSION_ID",
  };
  const env = Object.fromEntries(Object.entries(variables).map(([name, variable]) => [variable, `of-${name}`]));
  for (const name of Object.keys(variables))
    expect(await sessionOf(await connect(tempRuntime({ env }), { name }))).toBe(`of-${name}`);
});

it("the user's words that a chat without hooks passes count like prompts, each once", async () => {
  const { runtime, ask } = await desktop();
  const words = ["Please write the importer. Never use the network.", "Let's use csv for the format."];
  const saved = await ask("shim_auto_checkpoint", { user: words, next: "read the file" });
  expect(saved.output).toMatchObject({ saved: true, reason: "on_demand" });
  const id = String(saved.output["session"]);
  const prompts = () => stateOf(runtime, id)?.prompts.map(({ text }) => text);
  expect([prompts(), stateOf(runtime, id)?.nextStep]).toEqual([words, "read the file"]);
  const again = await ask("shim_auto_checkpoint", { user: [words[1], " ", "Now add tests for the importer."] });
  expect(again.output).toMatchObject({ saved: true });
  expect(prompts()).toEqual([...words, "Now add tests for the importer."]);
  expect(storedSession(runtime, id).title).toBe(words[0]);
  expect((await ask("shim_auto_checkpoint", { user: words })).output).toMatchObject({ saved: false });
});

const [one, two] = ["01a2045b-7370-7310-ae86-759c5ba1215d", "01a2045b-738d-7bd2-87af-c202c9d1a215"] as const;
const three = "01a2045b-738d-7bd2-87af-c202c9d1a999";

/** A process of a client whose threads report their events in any order. */
function aProcess(client: string, runtime = tempRuntime(), pid = 400) {
  const [chat, cwd] = [new RecordedClient(runtime, client, pid), aProject()];
  const tell = (thread: string, event: string, fields: object = {}): void =>
    void chat.report(event, { session_id: thread, turn_id: `turn-${thread}`, cwd, ...fields });
  return { runtime, tell };
}

type Tell = ReturnType<typeof aProcess>["tell"];

function begin(tell: Tell, thread: string): void {
  tell(thread, "SessionStart", { source: "startup" });
  tell(thread, "UserPromptSubmit", { prompt: `fix the parser of ${thread}` });
}

const tool = (tell: Tell, thread: string, event: "PreToolUse" | "PostToolUse"): void =>
  tell(thread, event, { tool_name: "Bash", tool_use_id: `call-${thread}`, tool_input: { command: "npm test" } });

const withThreads = ["codex", "copilot", "opencode"];

it.each(withThreads)("%s: threads of one process that take turns are a session each, and stay alive", (client) => {
  const { runtime, tell } = aProcess(client);
  begin(tell, one);
  begin(tell, two);
  tool(tell, one, "PreToolUse");
  tool(tell, two, "PreToolUse");
  tool(tell, one, "PostToolUse");
  tell(one, "Stop", { last_assistant_message: "Done." });
  tell(one, "UserPromptSubmit", { turn_id: "next", prompt: "and the lexer" });
  for (const id of [one, two]) expect(storedSession(runtime, id)).toMatchObject({ ending: null, owner: { pid: 400 } });
  expect(journalKinds(runtime, two)).toEqual(["start", "prompt", "tool_start"]);
});

it("a thread that its process closes is over, though the process goes on with others, until the user opens it again", () => {
  const { runtime, tell } = aProcess("codex");
  for (const id of [one, two]) {
    begin(tell, id);
    tell(id, "Stop", { last_assistant_message: "Done." });
  }
  tell(one, "SessionEnd", { reason: "other" });
  const detailOf = (id: string): string | null => {
    const session = storedSession(runtime, id);
    return runtime.store.read((sql) => readState(sql, runtime, session).detail, "unread");
  };
  expect([detailOf(one), detailOf(two)]).toEqual(["closed with nothing open", null]);
  tell(one, "SessionStart", { source: "resume" });
  expect([storedSession(runtime, one).ending, detailOf(one)]).toEqual([null, null]);
});

it.each([
  ["codex", "killed"],
  ["copilot", "closed"],
  ["opencode", "closed"],
])(
  "%s: when the process is gone, a thread between two turns is closed, and those that worked have died",
  (client, last) => {
    const { runtime, tell } = aProcess(client);
    for (const id of [one, two, three]) begin(tell, id);
    tell(one, "Stop", { last_assistant_message: "Done." });
    tool(tell, two, "PreToolUse");
    tell(three, "Stop", { last_assistant_message: "Done." });
    runtime.processes.kill(400);
    recordDeaths(runtime, () => true);
    const causes = [one, two, three].map((id) => storedSession(runtime, id).ending?.cause);
    // Codex reports the end of the one in which its user is.
    expect(causes).toEqual(["closed", "killed", last]);
    expect(runtime.store.read((sql) => listCrashes(sql), []).every(({ cause }) => cause === "killed")).toBe(true);
  },
);

it("each of its servers serves the thread that its calls name, and before that none of several", async () => {
  const { runtime, tell } = aProcess("codex");
  begin(tell, one);
  begin(aProcess("codex", runtime, 401).tell, three);
  const name = "codex-mcp-client";
  const ofOne = await connect(runtime, { name, era: "legacy", serverPid: 500 });
  const ofTwo = await connect(runtime, { name, era: "legacy", serverPid: 501 });
  await ofOne.client.listTools();
  expect(ofOne.chat.servedSessions()).toEqual([one]);
  begin(tell, two);
  await ofTwo.client.listTools();
  expect([ofOne.chat.servedSessions(), ofTwo.chat.servedSessions()]).toEqual([[], []]);
  const ask = async ({ client }: typeof ofOne, sessionId: string): Promise<unknown> => {
    const call = { name: "shim_session_status", arguments: {}, _meta: { sessionId, threadId: sessionId } };
    return (await client.callTool(call)).structuredContent;
  };
  expect(await ask(ofOne, one)).toMatchObject({ session: one });
  expect(await ask(ofTwo, two)).toMatchObject({ session: two });
  expect([ofOne.chat.servedSessions(), ofTwo.chat.servedSessions()]).toEqual([[one], [two]]);
  tell(one, "SessionEnd", { reason: "prompt_input_exit" });
  const later = await connect(runtime, { name, era: "legacy", serverPid: 502 });
  await later.client.listTools();
  expect(later.chat.servedSessions()).toEqual([two]);
});

it("where each thread has a server, the environment of that names it, unless it is another process's", async () => {
  const { runtime, tell } = aProcess("copilot");
  begin(tell, one);
  begin(tell, two);
  begin(aProcess("copilot", runtime, 401).tell, three);
  const servedIn = async (session: string): Promise<string[]> => {
    const env = { COPILOT_AGENT_SESSION_ID: session };
    const beside = tempRuntime({ beside: runtime, env });
    const { client, chat } = await connect(beside, { name: "copilot-cli", era: "legacy" });
    await client.listTools();
    return chat.servedSessions();
  };
  expect([await servedIn(one), await servedIn(two), await servedIn(three)]).toEqual([[one], [two], []]);
});

it("where all threads have one server, a call is of the one whose event has said it, also behind the newest", async () => {
  const { runtime, tell } = aProcess("opencode");
  begin(tell, one);
  begin(tell, two);
  const { chat, ask } = await connect(runtime, { name: "opencode" });
  const status = async (): Promise<unknown> => (await ask("shim_session_status")).output["session"];
  expect(await status()).toBe(two);
  const call = { tool_name: "shim_shim_session_status", tool_use_id: "call-1", tool_input: {} };
  tell(one, "PreToolUse", call);
  expect(await status()).toBe(one);
  tell(one, "PostToolUse", call);
  expect(await status()).toBe(two);
  expect([chat.servedSessions(), chat.threads().toSorted()]).toEqual([[], [one, two]]);
});
