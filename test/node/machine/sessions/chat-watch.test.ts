import { rmSync } from "node:fs";
import { expect, it } from "vitest";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import * as totals from "#src/store/metric-totals.ts";
import {
  aLiveChat,
  checkpointsOf,
  sessionOf,
  SupervisorRig,
  type LiveChat,
} from "#harness/supervisor/supervisor-rig.ts";

const id = "aaaa1111-0000-4000-8000-000000000001";
const second = "bbbb2222-0000-4000-8000-000000000002";
const watching = { watch: { chats: { kind: "sessions" } } };
const reopening = { watch: { chats: { kind: "sessions", restartWith: ["tmux", "new-window", "-c", "{cwd}", "--"] } } };

/** A chat that works, and a supervisor that has seen it. */
async function aRig(
  settings: object = watching,
  chat: Partial<LiveChat> = {},
  config: Record<string, unknown> = {},
): Promise<SupervisorRig> {
  const rig = new SupervisorRig(settings, { config });
  aLiveChat(rig.runtime, { id, pid: 700, ...chat });
  await rig.begin();
  return rig;
}

/** How its server saw the connection end. */
function detach({ runtime }: SupervisorRig, reason: string, chat = id): void {
  runtime.store.write((sql) => sessions.detach(sql, runtime.now(), chat, reason));
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

it("what ended well, or another process continues, is no death; what was never seen alive is not watched", async () => {
  const rig = await aRig(reopening);
  rig.runtime.store.write((sql) => sessions.end(sql, rig.runtime.now(), id, "prompt_input_exit"));
  aLiveChat(rig.runtime, { id: second, pid: 701 });
  aLiveChat(rig.runtime, { id: "cccc3333-0000-4000-8000-000000000003", pid: 702 });
  rig.runtime.processes.kill(702);
  await rig.pass(2_000);
  rig.runtime.processes.kill(701);
  aLiveChat(rig.runtime, { id: second, pid: 703 });
  await die(rig);
  expect([rig.emitted("died"), rig.opened]).toEqual([[], []]);
});

it("with a command that opens a terminal a killed chat is resumed in it, after its wait", async () => {
  const rig = await aRig(reopening);
  const { cwd } = sessionOf(rig.runtime, id)!;
  await die(rig);
  expect(rig.opened).toEqual([{ words: ["tmux", "new-window", "-c", cwd, "--", "claude", "--resume", id], cwd }]);
  expect(rig.emitted("restarting")).toEqual([expect.objectContaining({ session: id })]);
  const restarts = rig.runtime.store.read((sql) => totals.list(sql), []);
  expect(restarts).toContainEqual(
    expect.objectContaining({ name: "shim_supervisor_restarts_total", labels: '["crashed"]', value: 1 }),
  );
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
  expect(sessionOf(rig.runtime, id)).toMatchObject({ recovery: "offered", recoveryBy: begun[2] });
  await rig.pass(64_000);
  expect(rig.opened).toHaveLength(2);
  await rig.pass(600_000);
  expect(rig.opened).toHaveLength(4);
  expect(rig.emitted("ended").at(-1)).toMatchObject({ phase: "looping", reason: "no chat started" });
  expect(sessionOf(rig.runtime, id)?.recovery).toBeNull();
});

it("a chat is not started that the user closed, a worker runs, was recovered, or whose folder is gone", async () => {
  const closed = await aRig(reopening);
  detach(closed, "sighup");
  await die(closed);
  const worker = await aRig(reopening, { prompt: "Do task 7 (fix): make it so" });
  await die(worker);
  const offered = await aRig(reopening);
  offered.runtime.processes.kill(700);
  await offered.pass(2_000);
  offered.runtime.store.write((sql) => sessions.setRecovery(sql, offered.runtime.now(), id, "recovered", "x"));
  await offered.pass(60_000);
  const gone = await aRig(reopening);
  rmSync(sessionOf(gone.runtime, id)!.cwd!, { recursive: true });
  await die(gone);
  for (const rig of [closed, worker, offered, gone]) expect(rig.opened).toEqual([]);
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
  rig.openProblem = "spawn tmux ENOENT";
  await die(rig);
  expect(rig.emitted("died")[0]).toMatchObject({ cause: "usage_limit" });
  await rig.pass(280_000);
  expect(rig.emitted("problem")).toEqual([]);
  await rig.pass(30_000);
  const message = "tmux cannot be started: spawn tmux ENOENT";
  expect(rig.emitted("problem")).toEqual([{ type: "problem", name: "chats", message }]);
});
