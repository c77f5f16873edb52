import { rmSync } from "node:fs";
import { expect, it } from "vitest";
import { processKey } from "../../../../src/coordinator-client/local/process-key.ts";
import { identify } from "../../../../src/platform/processes.ts";
import * as journal from "../../../../src/local-mcp/sessions/journal.ts";
import * as servers from "../../../../src/local-mcp/sessions/servers.ts";
import * as sessions from "../../../../src/local-mcp/sessions/sessions.ts";
import { spoolEvent } from "../../../../src/local-mcp/hooks/spool-hook.ts";
import { err } from "../../../../src/shared/result.ts";
import { aLiveChat, checkpointsOf, sessionOf, type LiveChat } from "../../../support/supervised-sessions.ts";
import { SupervisorDesk } from "../../../support/supervisor-desk.ts";

const id = "aaaa1111-0000-4000-8000-000000000001";
const watching = { watch: { chats: { kind: "sessions" } } };
const reopening = { watch: { chats: { kind: "sessions", restartWith: ["tmux", "new-window", "-c", "{cwd}", "--"] } } };

/** A chat that works, and a supervisor that has seen it. */
async function aDesk(settings: object = watching, chat: Partial<LiveChat> = {}): Promise<SupervisorDesk> {
  const desk = new SupervisorDesk(settings);
  aLiveChat(desk.runtime, { id, pid: 700, ...chat });
  await desk.begin();
  return desk;
}

/** Its process is gone, and there was time to see that. */
async function die(desk: SupervisorDesk, pid = 700): Promise<void> {
  desk.runtime.processes.kill(pid);
  await desk.pass(8_000);
}

it("[SU6] [SU11] of a chat that dies the last checkpoint is taken and its death is reported, once", async () => {
  const desk = await aDesk();
  await die(desk);
  const [died] = desk.told("died");
  expect(died).toMatchObject({
    name: "chats",
    session: id,
    cause: "killed",
    checkpoint: expect.stringMatching(/^cp_/),
  });
  expect(checkpointsOf(desk.runtime, id)).toEqual([expect.stringMatching(/^detached: /)]);
  await desk.pass(700_000);
  expect([desk.told("died").length, desk.opened]).toEqual([1, []]);
});

it("[RE110] a chat that its client closed between two turns is no death, with or without open work", async () => {
  for (const reason of ["closed", "closed_open"]) {
    const desk = await aDesk(reopening);
    desk.runtime.store.write((sql) => sessions.close(sql, desk.runtime.now(), id, reason));
    await die(desk);
    expect([desk.told("died"), desk.opened]).toEqual([[], []]);
  }
});

it("[SU11] [SU42] what ended well, or another process continues, is no death; what was never seen alive is not watched", async () => {
  const desk = await aDesk(reopening);
  desk.runtime.store.write((sql) => sessions.end(sql, desk.runtime.now(), id, "prompt_input_exit"));
  const moved = "bbbb2222-0000-4000-8000-000000000002";
  aLiveChat(desk.runtime, { id: moved, pid: 701 });
  const dead = "cccc3333-0000-4000-8000-000000000003";
  aLiveChat(desk.runtime, { id: dead, pid: 702 });
  desk.runtime.processes.kill(702);
  await desk.pass(2_000);
  desk.runtime.processes.kill(701);
  aLiveChat(desk.runtime, { id: moved, pid: 703 });
  await die(desk);
  expect([desk.told("died"), desk.opened]).toEqual([[], []]);
});

const app = { client: "claude-ai", origin: "handle", transcript: null };
const appWatch = { watch: { app: { kind: "desktop", restartWith: ["open", "-a", "Claude"] } } };

it("[SU16] [SU44] chats of clients without hooks are watched by their server; without a command no app is started", async () => {
  const desk = await aDesk({ watch: { app: { kind: "desktop" } } }, app);
  desk.runtime.store.write((sql) => sessions.detach(sql, desk.runtime.now(), id, "client_gone"));
  await die(desk);
  expect(desk.told("died")).toEqual([expect.objectContaining({ name: "app", session: id })]);
  expect(desk.opened).toEqual([]);
  const other = await aDesk(watching, app);
  await die(other);
  expect(other.told("died")).toEqual([]);
});

it("[SU44] an app that was gone with its connection is started again, once for all of its chats", async () => {
  const desk = await aDesk(appWatch, app);
  const second = "bbbb2222-0000-4000-8000-000000000002";
  aLiveChat(desk.runtime, { ...app, id: second, pid: 701 });
  await desk.pass(2_000);
  const crash = async (...pids: readonly number[]): Promise<void> => {
    for (const one of [id, second]) {
      desk.runtime.store.write((sql) => sessions.detach(sql, desk.runtime.now(), one, "client_gone"));
    }
    for (const pid of pids) desk.runtime.processes.kill(pid);
    await desk.pass(8_000);
  };
  await crash(700, 701);
  expect(desk.opened.map(({ words }) => words)).toEqual([["open", "-a", "Claude"]]);
  expect(desk.told("died")).toHaveLength(2);
  for (let pid = 710; pid < 714; pid++) {
    aLiveChat(desk.runtime, { ...app, id: `cccc${pid}-0000-4000-8000-000000000003`, pid });
    await desk.pass(2_000);
    desk.runtime.store.write((sql) => sql.run("UPDATE sessions SET detached_at = 1, detach_reason = 'client_gone'"));
    await crash(pid);
    await desk.pass(10_000);
  }
  expect(desk.opened).toHaveLength(4);
  expect(desk.told("ended").at(-1)).toMatchObject({ name: "app", phase: "looping" });
});

it("[SU45] [SU44] not started: an app that closed the connection first, whose server died alone, or that is there again", async () => {
  const quit = await aDesk(appWatch, app);
  quit.runtime.store.write((sql) => sessions.detach(sql, quit.runtime.now(), id, "stdin_end"));
  await die(quit);
  for (const [isAppAlive, opened] of [
    [true, 0],
    [false, 1],
  ] as const) {
    const desk = new SupervisorDesk(appWatch);
    const client = desk.runtime.processes.start(690);
    aLiveChat(desk.runtime, { ...app, id, pid: 700 });
    servers.register(desk.runtime, identify(desk.runtime.processes, 700)!, client);
    await desk.begin();
    if (!isAppAlive) desk.runtime.processes.kill(690);
    await die(desk);
    expect([isAppAlive, desk.opened.length]).toEqual([isAppAlive, opened]);
  }
  const back = await aDesk(appWatch, app);
  back.runtime.store.write((sql) => sessions.detach(sql, back.runtime.now(), id, "client_gone"));
  back.runtime.processes.kill(700);
  await back.pass(4_000);
  aLiveChat(back.runtime, { ...app, id: "dddd4444-0000-4000-8000-000000000004", pid: 720 });
  await back.pass(60_000);
  for (const desk of [quit, back]) expect(desk.opened).toEqual([]);
  expect([quit, back].map((desk) => desk.told("died").length)).toEqual([1, 1]);
});

it("[SU41] with a command that opens a terminal a killed chat is resumed in it, after its wait", async () => {
  const desk = await aDesk(reopening);
  const { cwd } = sessionOf(desk.runtime, id)!;
  await die(desk);
  expect(desk.opened).toEqual([{ words: ["tmux", "new-window", "-c", cwd, "--", "claude", "--resume", id], cwd }]);
  expect(desk.told("restarting")).toEqual([expect.objectContaining({ session: id })]);
  // It came back, and dies again: the next wait is longer.
  aLiveChat(desk.runtime, { id, pid: 701 });
  desk.runtime.store.write((sql) =>
    sql.run("UPDATE sessions SET owner_pid = 701, owner_start = ?", desk.runtime.processes.facts(701)!.start),
  );
  await desk.pass(2_000);
  await die(desk, 701);
  expect(desk.opened).toHaveLength(2);
  expect(desk.told("ended").map(({ againInMs }) => againInMs)).toEqual([1_000, 2_000]);
});

it("[SU41] [SU43] a new chat with the brief; one that never begins is a crash, and in the end a loop", async () => {
  const desk = await aDesk(reopening, { transcript: null });
  await die(desk);
  const begun = desk.opened[0]?.words.slice(5) ?? [];
  expect(begun.slice(0, 2)).toEqual(["claude", "--session-id"]);
  expect(begun[3]).toContain("make the parser accept empty input");
  expect(sessionOf(desk.runtime, id)).toMatchObject({ recovery: "offered", recoveryBy: begun[2] });
  await desk.pass(64_000);
  expect(desk.opened).toHaveLength(2);
  await desk.pass(600_000);
  expect(desk.opened).toHaveLength(4);
  expect(desk.told("ended").at(-1)).toMatchObject({ phase: "looping", reason: "no chat started" });
  expect(sessionOf(desk.runtime, id)?.recovery).toBeNull();
});

it("[SU42] not started: what the user closed, what a worker runs, what was recovered, what is gone", async () => {
  const closed = await aDesk(reopening);
  closed.runtime.store.write((sql) => sessions.detach(sql, closed.runtime.now(), id, "sighup"));
  await die(closed);
  const worker = await aDesk(reopening, { prompt: "Do task 7 (fix): make it so" });
  await die(worker);
  const offered = await aDesk(reopening);
  offered.runtime.processes.kill(700);
  await offered.pass(4_000);
  offered.runtime.store.write((sql) => sessions.setRecovery(sql, offered.runtime.now(), id, "recovered", "x"));
  await offered.pass(60_000);
  const gone = await aDesk(reopening);
  rmSync(sessionOf(gone.runtime, id)!.cwd!, { recursive: true });
  await die(gone);
  for (const desk of [closed, worker, offered, gone]) expect(desk.opened).toEqual([]);
  expect([closed, worker].map((desk) => desk.told("died").length)).toEqual([1, 1]);
  expect(gone.told("problem")).toEqual([
    expect.objectContaining({ message: expect.stringMatching(/folder no longer exists/) }),
  ]);
});

it("[SU5] [SU41] after a usage limit it waits before it opens one; a terminal that cannot be opened is reported", async () => {
  const desk = await aDesk(reopening);
  const text = "rate_limit: You've hit your session limit";
  desk.runtime.store.write((sql) => journal.append(sql, id, desk.runtime.now(), "f", { kind: "failure", text }));
  desk.openProblem = "spawn tmux ENOENT";
  await die(desk);
  expect(desk.told("died")[0]).toMatchObject({ cause: "usage_limit" });
  await desk.pass(280_000);
  expect(desk.told("problem")).toEqual([]);
  await desk.pass(30_000);
  expect(desk.told("problem")).toEqual([
    { type: "problem", name: "chats", message: "tmux cannot be started: spawn tmux ENOENT" },
  ]);
});

it("[SU6] a hook that had to wait in the spool is heeded first: it may tell that the chat has ended", async () => {
  const desk = await aDesk(reopening);

  const input = { session_id: id, reason: "prompt_input_exit" };
  spoolEvent(desk.runtime, { event: "SessionEnd", input, clientPid: 700 });
  await die(desk);
  expect([desk.told("died"), sessionOf(desk.runtime, id)?.endReason, desk.opened]).toEqual([
    [],
    "prompt_input_exit",
    [],
  ]);
});

function register(desk: SupervisorDesk, pid: number): string {
  const key = processKey(identify(desk.runtime.processes, pid)!);
  desk.runtime.store.write((sql) =>
    sql.run(
      "INSERT INTO team_chats (session_id, workspace, chat, incarnation, process, at) VALUES (?, 'w', 'chat-1', 1, ?, 1)",
      id,
      key,
    ),
  );
  return key;
}

it("[SU10] the death of a registered chat is attested; a process that lives is not, and what goes wrong is said", async () => {
  const desk = await aDesk();
  const key = register(desk, 700);
  await die(desk);
  expect(desk.attested).toEqual([`chat-1 ${key}`]);
  const living = await aDesk();
  living.runtime.processes.start(800);
  register(living, 800);
  await die(living);
  expect([living.attested, living.told("died").length]).toEqual([[], 1]);
  for (const [code, problems] of [
    ["unreachable", 1],
    ["unknown_chat", 0],
  ] as const) {
    const cut = await aDesk();
    cut.attest = async () => err({ code, message: "no answer" });
    register(cut, 700);
    await die(cut);
    expect(cut.told("problem")).toHaveLength(problems);
    expect(checkpointsOf(cut.runtime, id)).toHaveLength(1);
  }
});
