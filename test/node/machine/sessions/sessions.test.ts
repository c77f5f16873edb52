import { appendFileSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { HookEvent } from "#src/contract/hooks.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import { answerHook, drainInto } from "#src/local-mcp/events/answer-hook.ts";
import { claudeCode } from "#src/clients/claude-code/claude-code.ts";
import { spoolEvent } from "#src/local-mcp/events/spool-event.ts";
import { capture } from "#src/machine/sessions/checkpoints/capture.ts";
import { forget } from "#src/machine/view/keeping/forget.ts";
import { start } from "#src/machine/learning/machine-trials.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { append, listNewest } from "#src/machine/sessions/machine-audit.ts";
import { findStoredSession } from "#src/machine/sessions/session-identity.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { emptyState } from "#src/machine/sessions/work-state.ts";
import { standingOf } from "#src/machine/sessions/life/questions.ts";
import { refresh } from "#src/machine/sessions/signals/observe.ts";
import { catchUp } from "#src/machine/sessions/transcripts/record-transcript.ts";
import * as totals from "#src/store/metric-totals.ts";
import { isPaused, pause, resume } from "#src/store/pause.ts";
import { given } from "#harness/coordinator/peers.ts";
import { pastChats, replayedBetter } from "#harness/experiments/histories.ts";
import { aChat, anotherClaude, aProject, Claude, stateOf, storedSession, claimOf } from "#harness/machine/claude.ts";
import { leaked, T0, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine } from "#harness/machine/transcripts.ts";
import { addSession } from "#harness/store/store-test.ts";
import { aLiveChat, checkpointsOf, SupervisorRig, valueAfter } from "#harness/supervisor/supervisor-rig.ts";
import type { Sql, SqlValue } from "#src/shared/sql.ts";
import type { LiveChat } from "#harness/supervisor/supervisor-rig.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

function see(runtime: TempRuntime, overrides: Partial<sessions.Sighting> = {}): sessions.Session {
  const sighting = { id: "s1", client: "claude-code", origin: "startup", owner: null, isAlive: true, ...overrides };
  return runtime.store.write((sql) => sessions.recordSighting(sql, runtime.now(), sighting));
}

it("four letters of an id name a session, fewer none, and of several none is chosen", () => {
  const runtime = tempRuntime();
  for (const id of ["ses_abcd1", "ses_abcd2", "ses_wxyz1"]) see(runtime, { id });
  const find = (text: string) => findStoredSession(runtime, text);
  expect(find("wxyz")).toMatchObject({ ok: true, value: { id: "ses_wxyz1" } });
  expect(find("wxy")).toEqual({ ok: true, value: null });
  expect(find("abcd")).toMatchObject({ ok: false, error: { code: "ambiguous_session" } });
});

it.each([-86_400_000, 31_536_000_000])("a jump of the clock by %d ms, and back, reorders nothing said", (jump) => {
  const { runtime, claude } = aChat();
  const standing = (): string => standingOf((stateOf(runtime, claude.session) ?? emptyState).life);
  claude.turn("one", "said one");
  runtime.wait(jump);
  claude.prompt("two");
  expect(standing()).toBe("unanswered");
  claude.use("Bash", { command: "npm test" });
  claude.stop("said two");
  runtime.wait(-jump);
  claude.prompt("three");
  expect(standing()).toBe("unanswered");
  claude.use("Bash", { command: "npm test" });
  expect(standing()).toBe("working");
  claude.stop("said three");
  expect(standing()).toBe("waiting");
  const { prompts = [], words = [] } = stateOf(runtime, claude.session) ?? {};
  expect(prompts.map(({ text }) => text)).toEqual(["one", "two", "three"]);
  expect(words.map(({ text }) => text)).toEqual(["said one", "said two", "said three"]);
});

it("the first sign of life makes the session, later ones refresh it; its project and origin stay", () => {
  const runtime = tempRuntime();
  const owner = runtime.processes.start(7);
  const first = { project: null, cwd: "/p/a", startedAt: T0, lastSeenAt: T0, owner: null };
  expect(see(runtime, { cwd: "/p/a" })).toMatchObject(first);
  runtime.wait(5);
  see(runtime, { project: "/p", owner, model: "m", origin: "resume" });
  runtime.wait(5);
  const kept = { project: "/p", cwd: "/tmp", model: "m", origin: "startup", owner, startedAt: T0 };
  expect(see(runtime, { project: "/tmp", cwd: "/tmp" })).toMatchObject({ ...kept, lastSeenAt: T0 + 10 });
  runtime.clock.now = T0 - 1_000;
  expect(see(runtime).lastSeenAt).toBe(T0 + 10);
});

const trial = { key: "checkpoint.everyToolCalls", to: 8, reason: "to see", replayed: replayedBetter, isByPerson: true };

it("an entry is there when its decision is, with its time, also for another process", () => {
  const runtime = tempRuntime();
  pastChats(runtime);
  const { id: experiment } = given(start(runtime, trial, "live page"));
  const stopped = { kind: "experiment.stopped", experiment, session: null } as const;
  // The process dies after the commit: nothing follows.
  runtime.store.write((sql) => append(sql, runtime.now(), { ...stopped, by: "command line", result: "done" }));
  runtime.wait(60_000);
  const next = tempRuntime({ beside: runtime });
  expect(listNewest(next, 5)).toMatchObject([
    { kind: "experiment.stopped", subject: experiment, actor: "command line", ageMs: 60_000 },
    { kind: "experiment.started", subject: experiment, actor: "live page", ageMs: 60_000 },
  ]);
  // As if many had come between them; of a session no more than the beginning of its id is kept.
  runtime.store.write((sql) => sql.run("UPDATE audit SET seq = 20001 WHERE seq = 2"));
  const forgotten = { kind: "session.forgotten", session: id, by: "chat", result: "done" } as const;
  runtime.store.write((sql) => append(sql, runtime.now(), forgotten));
  expect(listNewest(next, 5).map(({ subject }) => subject)).toEqual([id.slice(0, 8), experiment]);
});

it("more journal than one read takes is folded to its end; a kind that a newer program has written changes nothing", () => {
  const runtime = tempRuntime();
  runtime.store.write((sql) => {
    addSession(sql, { id: "s1", project: null, title: null });
    for (let index = 0; index < 5_001; index++)
      journal.append(sql, "s1", T0, String(index), { kind: "prompt", text: `prompt ${index}` });
    journal.append(sql, "s1", T0, "newer", { kind: "from_the_future" } as unknown as JournalEntry);
  });
  expect(stateOf(runtime, "s1")?.prompts.at(-1)?.text).toBe("prompt 5000");
});

type Event = readonly [event: HookEvent, input: Record<string, unknown>];

/** A turn with something of everything. */
function aTurn(turn: number): Event[] {
  const edit = (name: string) => {
    const file = { file_path: `/nonexistent/${name}${turn}` };
    return { tool_name: "Edit", tool_use_id: `${name}${turn}`, tool_input: file };
  };
  const created = { tool_input: { subject: "test it" }, tool_response: { task: { id: `${turn}` } } };
  const task = { tool_name: "TaskCreate", tool_use_id: `task${turn}`, ...created };
  const agent = { agent_id: `agent${turn}`, agent_type: "Explore", last_assistant_message: "found" };
  const events: Event[] = [
    ["UserPromptSubmit", { prompt: `do ${turn}` }],
    ["PreToolUse", edit("done")],
    ["PostToolUse", edit("done")],
    ["PreToolUse", edit("failed")],
    ["PostToolUseFailure", { ...edit("failed"), error: "Exit code 1" }],
    ["PreToolUse", edit("open")],
    ["PostToolUse", task],
    ["SubagentStop", agent],
    ["PreCompact", { trigger: "auto" }],
    ["PostCompact", { trigger: "auto", compact_summary: `summary ${turn}` }],
    turn === 1 ? ["StopFailure", { error: "server_error" }] : ["Stop", { last_assistant_message: `done ${turn}` }],
  ];
  return events.map(([event, input]) => [event, Object.assign({ prompt_id: `p${turn}` }, input)]);
}

it("a session whose events are all reported again, at once or some events late, ends up the same", () => {
  const runtime = tempRuntime();
  runtime.processes.start(1);
  const begin: Event = ["SessionStart", { source: "startup" }];
  const story = [begin].concat([0, 1].flatMap(aTurn));
  const once = play(runtime, "once", story, story);
  for (const delay of [0, 3, 9]) {
    const reports = story.flatMap((event, at) => [at, at + delay + 0.5].map((when) => ({ event, when })));
    const events = reports.toSorted((one, other) => one.when - other.when).map(({ event }) => event);
    expect(play(runtime, `again-${delay}`, events, story)).toEqual(once);
  }
});

/** What is known at the end. An event is first reported at its own time, its repeats at the time of the last one. */
function play(runtime: TempRuntime, id: string, reported: readonly Event[], order: readonly Event[]): unknown {
  const seen = new Set<Event>();
  for (const each of reported) {
    if (!seen.has(each)) runtime.clock.now = T0 + order.indexOf(each) * 1_000;
    seen.add(each);
    const [event, given] = each;
    const input = { session_id: id, cwd: "/nonexistent", hook_event_name: event, ...given };
    answerHook(runtime, event, () => JSON.stringify(input), 1);
  }
  const { toolCalls, toolErrors, title, ending } = storedSession(runtime, id);
  const state = stateOf(runtime, id);
  // Without what a checkpoint finds out by looking at the disk.
  const files = state?.files.map(({ path, action }) => ({ path, action }));
  return { toolCalls, toolErrors, title, ending, state: { ...state, files } };
}

const secret = "words-of-the-pause";
const open = "words-outside-of-it";

function say(runtime: TempRuntime, path: string, text: string): void {
  const timestamp = new Date(runtime.now()).toISOString();
  appendFileSync(path, `${anAssistantLine({ content: [{ type: "text", text }] }, { timestamp })}\n`);
}

function beginPause(runtime: TempRuntime, project: string | null, until: number | null = null): void {
  runtime.wait(20);
  runtime.store.write((sql) => pause(sql, runtime.now(), until, project));
  runtime.wait(20);
}

function endPause(runtime: TempRuntime, project: string | null): void {
  runtime.wait(20);
  runtime.store.write((sql) => resume(sql, runtime.now(), project));
  runtime.wait(20);
}

it("a chat that moves into a paused project stores nothing of what is said there, by no way", () => {
  const runtime = tempRuntime();
  const paused = aProject();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.turn("begin elsewhere");
  beginPause(runtime, paused);
  say(runtime, claude.transcript, secret);
  claude.tell("Notification", { message: "m", cwd: paused });
  say(runtime, claude.transcript, `${secret}-2`);
  refresh(runtime, storedSession(runtime, claude.session), {});
  runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  endPause(runtime, paused);
  say(runtime, claude.transcript, open);
  claude.tell("Notification", { message: "m", cwd: paused });
  expect(leaked(runtime, [secret, open])).toEqual([open]);
});

it("a chat that leaves a paused project is stored again, without what was said in it", () => {
  const { runtime, claude } = aChat();
  beginPause(runtime, claude.cwd);
  say(runtime, claude.transcript, secret);
  claude.prompt(`${secret} in a prompt`);
  const other = aProject();
  say(runtime, claude.transcript, `${secret}-2`);
  claude.tell("UserPromptSubmit", { cwd: other, prompt: open });
  expect(leaked(runtime, [secret, open])).toEqual([open]);
});

it("a transcript with another path during a pause is not read from its beginning after the pause", () => {
  for (const hadPath of [true, false]) {
    const { runtime, claude } = aChat();
    const other = join(claude.cwd, "other.jsonl");
    claude.tell("Notification", { message: "m", ...(hadPath ? {} : { transcript_path: undefined }) });
    beginPause(runtime, null);
    say(runtime, other, secret);
    claude.tell("Notification", { message: "m", transcript_path: other });
    say(runtime, claude.transcript, secret);
    claude.tell("Notification", { message: "m" });
    endPause(runtime, null);
    for (const path of [other, claude.transcript]) {
      say(runtime, path, `${open} ${path}`);
      claude.tell("Notification", { message: "m", transcript_path: path });
    }
    expect(leaked(runtime, [secret])).toEqual([]);
    expect(leaked(runtime, [open])).toEqual([open]);
  }
});

it("what was said during a pause without any event is known by its time", () => {
  for (const isTimed of [true, false]) {
    const { runtime, claude } = aChat();
    claude.turn("before");
    beginPause(runtime, claude.cwd, isTimed ? runtime.now() + 1_000 : null);
    runtime.wait(480);
    say(runtime, claude.transcript, secret);
    runtime.wait(1_000);
    if (!isTimed) endPause(runtime, claude.cwd);
    say(runtime, claude.transcript, open);
    claude.tell("Notification", { message: "m" });
    expect(leaked(runtime, [secret, open])).toEqual([open]);
  }
});

it("links in either direction, folders below and projects within count as the paused project", () => {
  const runtime = tempRuntime();
  const [project, other] = [aProject(), aProject()];
  const [link, within] = [join(other, "link"), join(project, "packages", "one")];
  symlinkSync(project, link);
  mkdirSync(join(within, ".git"), { recursive: true });
  const isNow = (folder: string): boolean => runtime.store.read((sql) => isPaused(sql, runtime.now(), folder), false);
  for (const named of [project, link]) {
    beginPause(runtime, named);
    const folders = [project, link, within, join(link, "packages"), other, `${project}-other`];
    expect(folders.filter(isNow)).toEqual(folders.slice(0, 4));
    endPause(runtime, named);
  }
});

it("an event without a folder comes from where its session works", () => {
  const { runtime, claude } = aChat();
  claude.turn("before");
  beginPause(runtime, claude.cwd);
  claude.tell("UserPromptSubmit", { cwd: undefined, prompt: secret });
  expect(leaked(runtime, [secret])).toEqual([]);
});

it("an event from the spool is judged by its time, and none is spooled during a pause", () => {
  const { runtime, claude } = aChat();
  claude.turn("before");
  const event = (prompt: string): void => {
    const input = { ...claude.input("UserPromptSubmit", { prompt }), session_id: claude.session } as never;
    spoolEvent(runtime, { client: claudeCode, event: "UserPromptSubmit", input, clientPid: claude.pid });
    runtime.wait(20);
  };
  event(open);
  beginPause(runtime, claude.cwd);
  event(secret);
  endPause(runtime, claude.cwd);
  drainInto(runtime);
  expect(leaked(runtime, [secret, open])).toEqual([open]);
});

it("a chat that continues after it was forgotten begins again: its transcript does not restore the old talk", () => {
  const { runtime, claude } = aChat();
  for (const text of ["the old talk", "more of the old talk"]) {
    claude.say(text);
    claude.use("Bash");
  }
  claude.say("old talk that no event has followed");
  runtime.store.write((sql) => forget(sql, { session: claude.session }));
  claude.say("the new talk");
  claude.use("Bash");
  const talk = JSON.stringify(stateOf(runtime, claude.session)?.words);
  expect([talk.includes("old talk"), talk.includes("the new talk")]).toEqual([false, true]);
});

it("what a chat was handed of a forgotten session is gone from its own checkpoints, and stays gone", () => {
  const { runtime, claude: first } = aChat();
  first.prompt("the forgotten goal");
  first.kill();
  const second = anotherClaude(runtime, first);
  second.start();
  const state = (prompt: string): string => {
    second.prompt(prompt);
    capture(runtime, { sessionId: second.session, trigger: "on_demand" });
    return JSON.stringify(stateOf(runtime, second.session));
  };
  expect(state("go on")).toContain("the forgotten goal");
  runtime.store.write((sql) => forget(sql, { session: first.session }));
  expect(JSON.stringify(stateOf(runtime, second.session))).not.toContain("the forgotten goal");
  expect(state("and on")).not.toContain("the forgotten goal");
});

const id = "aaaa1111-0000-4000-8000-000000000001";
const second = "bbbb2222-0000-4000-8000-000000000002";
const watching = { watch: { chats: { kind: "sessions" } } };
const reopening = { watch: { chats: { kind: "sessions", restartWith: ["tmux", "new-window", "-c", "{cwd}", "--"] } } };

/** A chat that works, and a supervisor that has seen it. */
async function aRig(settings: object = watching, chat: Partial<LiveChat> = {}, config: Record<string, unknown> = {}) {
  const rig = new SupervisorRig(settings, { config });
  aLiveChat(rig.runtime, { id, pid: 700, ...chat });
  await rig.begin();
  return rig;
}

/** How its server saw the connection end. */
function detach({ runtime }: SupervisorRig, reason: string, chat = id): void {
  runtime.store.write((sql) => reportEnd(sql, runtime, chat, reason));
}

/** Its process is gone, and there was time to see that. */
async function die(rig: SupervisorRig, pid = 700): Promise<void> {
  rig.runtime.processes.kill(pid);
  await rig.pass(8_000);
}

it("of a chat that dies the last checkpoint is taken and its death is reported, once", async () => {
  const rig = await aRig();
  await die(rig);
  const checkpoint = expect.stringMatching(/^cp_/) as string;
  expect(rig.emitted("died")).toMatchObject([{ name: "chats", session: id, cause: "killed", checkpoint }]);
  expect(checkpointsOf(rig.runtime, id)).toEqual([expect.stringMatching(/^detached: /)]);
  await rig.pass(700_000);
  expect([rig.emitted("died").length, rig.opened]).toEqual([1, []]);
});

it("a chat that was silent for 30 days before the supervisor began is followed, and none of more", async () => {
  for (const isLonger of [false, true]) {
    const rig = new SupervisorRig(watching);
    aLiveChat(rig.runtime, { id, pid: 700 });
    rig.runtime.clock.now += 30 * 86_400_000 + (isLonger ? 1 : -10_000);
    await rig.begin();
    await die(rig);
    expect([isLonger, rig.emitted("died").length]).toEqual([isLonger, isLonger ? 0 : 1]);
  }
});

it("what ended well, or another process continues, is no death; what was never seen alive, is of another client or a program of the supervisor is not watched", async () => {
  const rig = await aRig(reopening);
  rig.runtime.store.write((sql) => reportEnd(sql, rig.runtime, id, "prompt_input_exit"));
  aLiveChat(rig.runtime, { id: second, pid: 701 });
  aLiveChat(rig.runtime, { id: "cccc3333-0000-4000-8000-000000000003", pid: 702 });
  rig.runtime.processes.kill(702);
  aLiveChat(rig.runtime, { id: "dddd4444-0000-4000-8000-000000000004", pid: 704, client: "codex" });
  await rig.pass(2_000);
  for (const pid of [701, 704]) rig.runtime.processes.kill(pid);
  aLiveChat(rig.runtime, { id: second, pid: 703 });
  await die(rig);
  expect([rig.emitted("died"), rig.opened]).toEqual([[], []]);
  const fix = { kind: "claude", folder: ".", prompt: "Fix it." };
  const own = await SupervisorRig.begun({ watch: { ...watching.watch, fix } });
  await own.until(() => own.runs.length > 0);
  aLiveChat(own.runtime, { id: valueAfter(own, "--session-id") ?? "", pid: 701 });
  await own.pass(2_000);
  await die(own, 701);
  expect(own.emitted("died")).toEqual([]);
});

it("with a command that opens a terminal a killed chat is resumed in it, after its wait", async () => {
  const rig = await aRig(reopening);
  const { cwd } = storedSession(rig.runtime, id);
  const { call } = rig;
  const calls: Promise<unknown>[] = [];
  rig.call = (name, input) => {
    const answer = call(name, input);
    calls.push(answer);
    return answer;
  };
  await die(rig);
  await Promise.all(calls);
  expect(rig.opened).toEqual([{ words: ["tmux", "new-window", "-c", cwd, "--", "claude", "--resume", id], cwd }]);
  expect(rig.emitted("restarting")).toEqual([expect.objectContaining({ session: id })]);
  const restart = { name: "shim_supervisor_restarts_total", labels: '["crashed"]', value: 1 };
  expect(rig.runtime.store.read((sql) => totals.list(sql), [])).toContainEqual(expect.objectContaining(restart));
});

it("a new chat with the brief; one that never begins is a crash, and in the end a loop", async () => {
  const rig = await aRig(reopening, { transcript: null });
  const { call } = rig;
  rig.call = (name, input) => {
    rig.runtime.clock.now += 1;
    return call(name, input);
  };
  await die(rig);
  const begun = rig.opened[0]?.words.slice(5) ?? [];
  expect(begun.slice(0, 2)).toEqual(["claude", "--session-id"]);
  expect(begun[3]).toContain("make the parser accept empty input");
  expect(claimOf(rig.runtime, id)).toMatchObject({ is: "taken", by: begun[2] });
  await rig.pass(64_000);
  expect(rig.opened).toHaveLength(2);
  await rig.pass(600_000);
  expect(rig.opened).toHaveLength(4);
  expect(rig.emitted("ended").at(-1)).toMatchObject({ phase: "looping", reason: "no chat started" });
  expect(claimOf(rig.runtime, id)).toBeNull();
});

it("a chat is not started that the user closed, a worker runs, was recovered or dismissed, or whose folder is gone", async () => {
  const closed = await aRig(reopening);
  detach(closed, "sighup");
  await die(closed);
  const worker = await aRig(reopening, { prompt: "Do task 7 (fix): make it so" });
  await die(worker);
  const marked = [];
  for (const mark of ["recovered", "dismissed"] as const) {
    const rig = await aRig(reopening);
    rig.runtime.processes.kill(700);
    await rig.pass(2_000);
    rig.runtime.store.write((sql) =>
      recoveries.add(sql, { at: rig.runtime.now(), session: id, action: mark, by: "x" }),
    );
    await rig.pass(60_000);
    marked.push(rig);
  }
  const gone = await aRig(reopening);
  rmSync(storedSession(gone.runtime, id).cwd!, { recursive: true });
  await die(gone);
  for (const rig of [closed, worker, ...marked, gone]) expect(rig.opened).toEqual([]);
  for (const rig of [closed, worker]) expect(rig.emitted("died")).toHaveLength(1);
  const message = expect.stringMatching(/folder no longer exists/) as string;
  expect(gone.emitted("problem")).toMatchObject([{ message }]);
});

it("after a usage limit it waits before it opens one, and without such a rule opens none; a terminal that cannot be opened is reported", async () => {
  const failure = { kind: "failure", text: "usage limit", limit: { resetsAtMs: null } } as const;
  const without = await aRig(reopening);
  without.runtime.store.write((sql) => journal.append(sql, id, without.runtime.now(), "f", failure));
  await die(without);
  await without.pass(700_000);
  expect([without.emitted("died").length, without.opened]).toEqual([1, []]);
  const rule = { folder: "/", order: [{ client: "codex" }, "wait"], mostUsd: null, mostHours: 8 };
  const rig = await aRig(reopening, {}, { atLimit: [rule] });
  rig.runtime.store.write((sql) => journal.append(sql, id, rig.runtime.now(), "f", failure));
  // The limit counts, not that its turn was cut off.
  detach(rig, "asked");
  rig.openProblem = "spawn tmux ENOENT";
  await die(rig);
  expect(rig.emitted("died")[0]).toMatchObject({ cause: "usage_limit" });
  await rig.pass(280_000);
  expect(rig.emitted("problem")).toEqual([]);
  await rig.pass(30_000);
  const message = "tmux cannot be started: spawn tmux ENOENT";
  expect(rig.emitted("problem")).toEqual([{ type: "problem", name: "chats", message }]);
});

it("no list of sessions reads them all: each begins at an index, and what a host asks each second at that of the living", () => {
  const { store, now } = tempRuntime();
  store.write((sql) => addSession(sql, { id: "s1", project: "/p", title: null }));
  const planOf = (read: (sql: Sql) => unknown): string =>
    store.read((sql) => {
      const steps: string[] = [];
      const watched: Sql = {
        ...sql,
        all: <Row>(query: string, ...values: SqlValue[]): Row[] => {
          const plan = sql.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${query}`, ...values);
          steps.push(...plan.map(({ detail }) => detail).filter((one) => /(?:SCAN|SEARCH) sessions/.test(one)));
          return sql.all<Row>(query, ...values);
        },
      };
      const rows = read(watched);
      if (typeof rows === "object" && rows !== null && Symbol.iterator in rows) [...(rows as Iterable<unknown>)].at(0);
      return [...new Set(steps)].join("\n");
    }, "");
  const owner = { boot: "b", pid: 1, start: "1" };
  expect(planOf((sql) => sessions.listUnsettled(sql))).toBe("SCAN sessions USING INDEX sessions_unsettled");
  expect(planOf((sql) => sessions.listOpenOf(sql, owner))).toBe("SCAN sessions USING INDEX sessions_unsettled");
  expect(planOf((sql) => sessions.listPresent(sql, now()))).toMatch(
    /^SEARCH sessions USING PRIMARY KEY \(id=\?\)\nSCAN sessions USING INDEX sessions_unsettled\nSEARCH sessions USING COVERING INDEX sessions_seen/,
  );
  expect(planOf((sql) => sessions.list(sql, { limit: 20 }))).toMatch(
    /^(?:SEARCH sessions USING .*sessions_seen.*\n?)+$/,
  );
  expect(planOf((sql) => sessions.listOpen(sql, ["/p", null]))).toMatch(
    /^(?:SEARCH sessions USING INDEX sessions_of_project.*\n?)+$/,
  );
  expect(planOf((sql) => sessions.listOpen(sql))).toBe("SCAN sessions USING INDEX sessions_seen");
});
