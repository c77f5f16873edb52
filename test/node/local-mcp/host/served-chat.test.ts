import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { listCrashes } from "#harness/machine/crashes.ts";
import { expect, it, vi } from "vitest";
import { drainInto } from "#src/local-mcp/events/answer-hook.ts";
import * as spool from "#src/store/spool.ts";
import { MachineWork } from "#src/local-mcp/host/machine-work.ts";
import { refreshIfDue } from "#src/local-mcp/host/upkeep.ts";
import { aProject, rowCount, storedSession, aChat } from "#harness/machine/claude.ts";
import { git } from "#harness/machine/git-project.ts";
import { aFront, aHost, patience, statusOf, type Message } from "#harness/machine/host-rig.ts";
import { connect } from "#harness/machine/mcp-client.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { column } from "#harness/store/store-rows.ts";

const clientPid = 4_000_000;

/** A chat of a host; the test says when time passes and why its front ends. */
async function aServedChat(runtime: TempRuntime) {
  const host = await aHost(runtime);
  const front = await aFront(host, { pid: 101, clientPid });
  const end = (reason: string): void =>
    front.send({ jsonrpc: "2.0", id: "shim-front:1", method: "shim/end", params: { reason } });
  /** The host has done all for the chat. */
  const over = (): Promise<unknown> =>
    vi.waitUntil(async () => ((await statusOf(host))["chats"] as unknown[]).length === 0, patience);
  /** @returns the session that is saved */
  const save = async (input: object): Promise<string> => {
    const { structuredContent } = await front.call("shim_force_checkpoint", input);
    return String((structuredContent as Message)["session"]);
  };
  return { host: host.host, hostEnded: host.ended, closed: front.closed, end, over, save };
}

/** A chat whose only session has a goal. */
async function aChatAtWork() {
  const runtime = tempRuntime();
  const served = await aServedChat(runtime);
  const id = await served.save({ goal: "fix it" });
  return { ...served, runtime, stored: () => storedSession(runtime, id) };
}

it("the durations of a chat's last saves are stored before its front ends", async () => {
  const { runtime, end, closed } = await aChatAtWork();
  end("stdin_end");
  await closed;
  const saves = runtime.store.read((sql) => column(sql, "SELECT count FROM session_durations"), []);
  expect(saves).toEqual([rowCount(runtime, "checkpoints")]);
});

it.each(["sigterm", "sigint", "sighup"])(
  "%s, said twice as once, is the reason of the detachment while the client lives",
  async (reason) => {
    const { end, closed, stored } = await aChatAtWork();
    end(reason);
    end(reason);
    await closed;
    expect(stored()).toMatchObject({ client: "raw", endedAt: null, detachReason: reason });
  },
);

it("when the client is gone without a word, its chat ends, and a hang-up by its death is no closed terminal", async () => {
  for (const isHungUp of [false, true]) {
    const { runtime, end, over, stored } = await aChatAtWork();
    runtime.processes.kill(clientPid);
    if (isHungUp) end("sighup");
    else vi.advanceTimersByTime(2_000);
    await over();
    expect(stored().detachReason).toBe("client_gone");
  }
});

it("a client that is killed in the middle of a tool has died then, and not at its last event", async () => {
  const { runtime, claude } = aChat({ pid: clientPid });
  claude.prompt("fix it");
  claude.begin("Bash", { command: "make" });
  const { over } = await aServedChat(runtime);
  runtime.wait(35_000);
  runtime.processes.kill(clientPid);
  vi.advanceTimersByTime(2_000);
  await over();
  const [death] = runtime.store.read((sql) => listCrashes(sql), []);
  expect(death).toMatchObject({ session: claude.session, at: runtime.now() });
});

it.each(["sigterm", "sigint"])(
  "%s is the reason although the end of stdin comes first and the client is gone by then",
  async (signal) => {
    const { runtime, end, over, stored } = await aChatAtWork();
    runtime.processes.kill(clientPid);
    end("stdin_end");
    end(signal);
    await over();
    expect(stored().detachReason).toBe(signal);
  },
);

it("when the client was killed, the files of its last state are still saved, also where the host ends with it @night", async () => {
  const runtime = tempRuntime({ env: { PATH: process.env["PATH"] } });
  const project = aProject();
  git(project, "init", "-q");
  git(project, "symbolic-ref", "HEAD", "refs/heads/new");
  const { host, hostEnded, save, end, closed } = await aServedChat(runtime);
  const session = await save({ goal: "fix it", project });
  writeFileSync(join(project, "a.txt"), "the last words");
  await save({ session, files: [join(project, "a.txt")] });
  runtime.processes.kill(clientPid);
  end("stdin_end");
  await closed;
  host.stop();
  await hostEnded;
  const states = tempRuntime({ beside: runtime }).store.read((sql) => column(sql, "SELECT state FROM snapshots"), []);
  expect([states.includes("done"), states.includes("pending")]).toEqual([true, false]);
});

/** The background work is loaded with its first portion. */
async function nextTick(): Promise<void> {
  vi.advanceTimersByTime(2_000);
  await vi.dynamicImportSettled();
}

it("at intervals the process updates its session: spool applied, readings up to date", async () => {
  const { runtime, claude } = aChat({ pid: clientPid });
  claude.prompt("fix it");
  const { end, closed } = await aServedChat(runtime);
  const input = { session_id: claude.session, prompt: "kept aside", prompt_id: "p9" };
  const entry = { at: runtime.now(), event: "UserPromptSubmit", client: null, input };
  spool.append(runtime.paths.spool, entry);
  runtime.wait(400_000);
  await nextTick();
  expect(rowCount(runtime, "checkpoints")).toBe(1);
  expect(drainInto(runtime)).toBe(0);
  const { savedAt, readings } = storedSession(runtime, claude.session);
  expect(savedAt).toBe(runtime.now());
  runtime.wait(5_000);
  await nextTick();
  expect(storedSession(runtime, claude.session).readings).toEqual(readings);
  end("sigterm");
  await closed;
});

it("a failing update is logged and ends nothing; an ended session is left alone", async () => {
  const { runtime, claude } = aChat({ pid: clientPid });
  claude.turn("fix it");
  claude.tell("SessionEnd", { reason: "clear" });
  const { end, over } = await aServedChat(runtime);
  const before = storedSession(runtime, claude.session);
  runtime.wait(400_000);
  vi.spyOn(runtime.store, "checkpointWal").mockImplementation(() => {
    throw new Error("a bug");
  });
  await nextTick();
  expect(runtime.logged.join()).toContain('"tick"');
  expect(storedSession(runtime, claude.session)).toEqual(before);
  runtime.processes.kill(clientPid);
  end("stdin_end");
  await over();
});

function nothing(): void {}

/** Ticks so many `times`, two seconds apart. @returns which of the ticks do the work, by their number */
function aMachine(runtime: TempRuntime): (times: number) => number[] {
  let ran = 0;
  const machine = new MachineWork(runtime, runtime.processes.start(9_000));
  runtime.store.onCommit(() => machine.noteCommit());
  machine.add({
    isConnected: true,
    isSettled: true,
    announceWork: nothing,
    checkClient: nothing,
    team: null,
    work: () => void (ran += 1),
    reader: () => null,
  });
  return (times) =>
    Array.from({ length: times }, (_, n) => n).filter(() => {
      const before = ran;
      machine.tick();
      runtime.wait(2_000);
      return ran > before;
    });
}

it("while nothing changes the background work is done every ten seconds; a commit or a spooled event changes that", async () => {
  const { runtime, claude } = aChat();
  claude.turn("fix the parser");
  const tick = aMachine(runtime);
  // The last turn is news for ten seconds.
  expect(tick(15)).toEqual([0, 1, 2, 3, 4, 9, 14]);
  runtime.store.write((sql) => sql.run("UPDATE sessions SET title = 'another'"));
  expect(tick(3)).toEqual([0, 1, 2]);
  tick(10);
  const entry = { event: "Notification", client: null, input: { session_id: "s" } };
  spool.append(runtime.paths.spool, { at: runtime.now(), ...entry });
  expect(tick(2)).toEqual([0, 1]);
});

it("a clock that is set back does not stop the work", async () => {
  const { runtime, claude } = aChat();
  claude.start();
  const tick = aMachine(runtime);
  tick(12);
  runtime.clock.now -= 86_400_000;
  expect(tick(1)).toEqual([0]);
});

it("a session without news, all of it saved, is read every ten minutes, any other one every fifteen seconds", async () => {
  const { runtime, claude } = aChat();
  claude.turn("fix the parser");
  const { chat, ask } = await connect(runtime, { clientPid: claude.pid });
  await ask("shim_force_checkpoint", { session: claude.session, goal: "fix the parser" });
  /** @returns whether the session is read after so many seconds */
  const isRead = (seconds: number): boolean => {
    const before = storedSession(runtime, claude.session).readings.sessionAgeMs?.at;
    runtime.wait(seconds * 1_000);
    refreshIfDue(chat, claude.session);
    return storedSession(runtime, claude.session).readings.sessionAgeMs?.at !== before;
  };
  expect([isRead(16), isRead(300), isRead(300), isRead(16)]).toEqual([false, false, true, false]);
  claude.prompt("go on");
  expect([isRead(16), isRead(16)]).toEqual([true, true]);
});
