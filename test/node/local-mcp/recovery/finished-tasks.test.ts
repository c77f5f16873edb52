import { join } from "node:path";
import { expect, it } from "vitest";
import type { HostContext } from "#src/local-mcp/host/host.ts";
import { LocalHost } from "#src/local-mcp/host/local-host.ts";
import { brief } from "#src/local-mcp/recovery/brief.ts";
import { findIncomplete } from "#src/local-mcp/recovery/detect.ts";
import { recordFinishedHere } from "#src/local-mcp/recovery/finished-tasks.ts";
import { undo } from "#src/local-mcp/recovery/local-source.ts";
import { restore } from "#src/local-mcp/recovery/restoration.ts";
import { Claude, storedSession } from "#harness/machine/claude.ts";
import { type TeamRig, twoChats } from "#harness/team/team-rig.ts";

function incomplete({ base }: TeamRig): string[] {
  const found = base.store.read((sql) => findIncomplete(sql, base.processes, base.now()), []);
  return found.map(({ session }) => session.id);
}

function briefOf({ base }: TeamRig, id: string): string {
  const from = restore(base, storedSession(base, id));
  return from ? brief(from, base.now(), "brief") : "";
}

/** A chat that starts in the project. @returns what its model reads */
function newChat({ base, project: cwd }: TeamRig): string {
  const claude = new Claude(base, { pid: 7_000, cwd, session: "99999999-04b4-4fe0-bbd5-6aa531354563" });
  const text = claude.start();
  claude.end("prompt_input_exit");
  return text;
}

/** One of two chats has taken a task, and is killed in the middle of it, after a later request where there is one. */
async function diedAtWork(request?: string) {
  const { rig, one, other } = await twoChats();
  rig.call("tasks.submit", { tasks: [{ type: "tests" }], requestId: "r1" });
  await one.ask("shim_next", { types: ["tests"] });
  await rig.time.pass(1_000);
  if (request) one.claude.prompt(request);
  one.claude.kill();
  await one.team.end("goes_on");
  const { session } = one.claude;
  /** @returns whether it is incomplete once what is known here is recorded */
  const isIncomplete = (): boolean => {
    recordFinishedHere(rig.base);
    return incomplete(rig).includes(session);
  };
  const taken = () => rig.time.until(other.ask("shim_next", { types: ["tests"], waitMs: 40_000 }));
  const finished = async (): Promise<void> => {
    await taken();
    await other.ask("shim_report", { outcome: "done", result: "well" });
  };
  return { rig, other, session, isIncomplete, taken, finished };
}

it("[RE70] [RE83] a session whose task another chat has finished is not offered, and its brief names that chat", async () => {
  const { rig, other, session, isIncomplete, finished } = await diedAtWork();
  expect(isIncomplete()).toBe(true);
  await finished();
  expect(newChat(rig)).not.toContain(session);
  const host = new LocalHost({ runtime: () => Promise.resolve(rig.base) } as unknown as HostContext);
  const shown = await host.call("overview.get", {});
  expect(shown.ok && shown.value.sessions.filter(({ state }) => state === "died")).toEqual([]);
  expect(incomplete(rig)).not.toContain(session);
  const by = other.claude.session;
  expect(briefOf(rig, session)).toContain(`its task 1 (tests) was finished by ${by}: do not do it again`);
  expect(storedSession(rig.base, session)).toMatchObject({ recovery: "recovered", recoveryBy: by });
});

it("[RE70] the same holds when its server outlives the client and learns that the task is another's", async () => {
  const { rig, one, other } = await twoChats();
  const { session } = one.claude;
  rig.call("tasks.submit", { tasks: [{ type: "tests" }], requestId: "r1" });
  await one.ask("shim_next", { types: ["tests"] });
  one.claude.kill();
  await rig.time.until(other.ask("shim_next", { types: ["tests"], waitMs: 40_000 }));
  await one.team.end("client_gone");
  const left = rig.base.store.read((sql) => sql.all("SELECT task FROM team_claims WHERE session = ?", session), []);
  expect(left).toEqual([]);
  recordFinishedHere(rig.base);
  expect(incomplete(rig)).toContain(session);
  await other.ask("shim_report", { outcome: "done", result: "well" });
  recordFinishedHere(rig.base);
  expect(incomplete(rig)).not.toContain(session);
});

it("[RE70] [RE83] after a cancelled task its session is complete, not while it is queued or running again", async () => {
  const { rig, other, session, isIncomplete, taken } = await diedAtWork();
  await taken();
  expect(isIncomplete()).toBe(true);
  await other.ask("shim_report", { outcome: "failed", note: "no" });
  expect(isIncomplete()).toBe(true);
  rig.call("tasks.cancel", { task: 1, reason: "not wanted" });
  expect(isIncomplete()).toBe(false);
  expect(briefOf(rig, session)).toContain("its task 1 (tests) was cancelled: it is no longer needed");
});

it("[RE84] a session that is undone stays incomplete", async () => {
  const { rig, session, isIncomplete, finished } = await diedAtWork();
  await finished();
  expect([isIncomplete(), undo(rig.base, session), isIncomplete()]).toEqual([false, true, true]);
});

it("[RE86] with a later request of its user a session is offered although its task is finished", async () => {
  const request = "Rewrite the README so that it explains the installation on Windows";
  const { rig, session, finished } = await diedAtWork(request);
  await finished();
  expect(newChat(rig)).toMatch(/task 1 \(tests\) was finished by /);
  expect(incomplete(rig)).toContain(session);
});

it("[RE85] a chat that was offered the session before is notified; so is the session when it is resumed", async () => {
  const { rig, session, finished } = await diedAtWork();
  const heir = await rig.chat("go on");
  expect(storedSession(rig.base, session).recovery).toBe("offered");
  await finished();
  await heir.tick();
  await rig.time.pass(15_000);
  await heir.tick();
  const line = "its task 1 (tests) was finished by";
  expect(JSON.stringify(await heir.news())).toContain(line);
  expect(new Claude(rig.base, { pid: 8_000, cwd: rig.project, session }).start("resume")).toContain(line);
});

it("[RE87] a session that a worker began for a task ends with the task", async () => {
  const { rig } = await twoChats();
  const folder = join(rig.base.paths.home, "work", "task-1-abc", "tree");
  rig.call("tasks.submit", { tasks: [{ type: "fix" }], requestId: "r1" });
  const claude = new Claude(rig.base, { pid: 8_100, cwd: folder, session: "88888888-04b4-4fe0-bbd5-6aa531354563" });
  claude.start();
  claude.prompt('Do task 1 (fix):\n<shim-task-1>{"type":"fix"}</shim-task-1>');
  claude.kill();
  recordFinishedHere(rig.base);
  expect(incomplete(rig)).toContain(claude.session);
  rig.call("tasks.cancel", { task: 1, reason: "not wanted" });
  recordFinishedHere(rig.base);
  expect(incomplete(rig)).not.toContain(claude.session);
});
