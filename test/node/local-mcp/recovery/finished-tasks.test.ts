import { join } from "node:path";
import { expect, it } from "vitest";
import { readOverview } from "#src/cli/commands/care/overview.ts";
import { brief } from "#src/local-mcp/recovery/brief.ts";
import { findIncomplete } from "#src/local-mcp/recovery/detect.ts";
import { recordFinishedHere } from "#src/local-mcp/recovery/finished-tasks.ts";
import { undo } from "#src/local-mcp/recovery/local-source.ts";
import { restore } from "#src/local-mcp/recovery/restoration.ts";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import { Claude } from "#harness/machine/claude.ts";
import { type TeamChat, type TeamRig, twoChats } from "#harness/team/team-rig.ts";
import type { TempRuntime } from "#harness/machine/temp-runtime.ts";

function incomplete({ base }: TeamRig): string[] {
  const found = base.store.read((sql) => findIncomplete(sql, base.processes, base.now()), []);
  return found.map(({ session }) => session.id);
}

function briefOf({ base }: TeamRig, id: string): string {
  const session = base.store.read((sql) => sessions.get(sql, id), null);
  const from = session && restore(base, session);
  return from ? brief(from, base.now(), "brief") : "";
}

/** A chat that starts in the project. @returns what its model reads */
function newChat(rig: TeamRig, runtime: TempRuntime = rig.base): string {
  const claude = new Claude(runtime, {
    pid: 7_000,
    cwd: rig.project,
    session: "99999999-04b4-4fe0-bbd5-6aa531354563",
  });
  const printed = JSON.stringify(claude.start());
  claude.end("prompt_input_exit");
  return printed;
}

/** One of two chats has taken a task, and is killed in the middle of it. */
async function diedAtWork(): Promise<{ rig: TeamRig; one: TeamChat; other: TeamChat }> {
  const { rig, one, other } = await twoChats();
  rig.call("tasks.submit", { tasks: [{ type: "tests" }], requestId: "r1" });
  await one.ask("shim_next", { types: ["tests"] });
  await rig.time.pass(1_000);
  one.claude.kill();
  await one.team.end("goes_on");
  return { rig, one, other };
}

async function finishedBy(rig: TeamRig, other: TeamChat): Promise<void> {
  await rig.time.until(other.ask("shim_next", { types: ["tests"], waitMs: 40_000 }));
  await other.ask("shim_report", { outcome: "done", result: "well" });
}

it("[RE70] [RE83] a session whose task another chat has finished is not offered, and its brief says who did it", async () => {
  const { rig, one, other } = await diedAtWork();
  const { session } = one.claude;
  recordFinishedHere(rig.base);
  expect(incomplete(rig)).toContain(session);
  await finishedBy(rig, other);
  expect(newChat(rig)).not.toContain(session);
  expect(readOverview(rig.base, [], {} as never).incomplete).toEqual([]);
  expect(incomplete(rig)).not.toContain(session);
  expect(briefOf(rig, session)).toContain(
    `its task 1 (tests) was finished by ${other.claude.session}: do not do it again`,
  );
  expect(rig.base.store.read((sql) => sessions.get(sql, session), null)).toMatchObject({
    recovery: "recovered",
    recoveryBy: other.claude.session,
  });
});

it("[RE70] the same holds when its server outlives the client and learns that the task is another's", async () => {
  const { rig, one, other } = await twoChats();
  const { session } = one.claude;
  rig.call("tasks.submit", { tasks: [{ type: "tests" }], requestId: "r1" });
  await one.ask("shim_next", { types: ["tests"] });
  one.claude.kill();
  await rig.time.until(other.ask("shim_next", { types: ["tests"], waitMs: 40_000 }));
  await one.team.end("client_gone");
  const left = rig.base.store.read((sql) => sql.all("SELECT task FROM team_claims WHERE session_id = ?", session), []);
  expect(left).toEqual([]);
  recordFinishedHere(rig.base);
  expect(incomplete(rig)).toContain(session);
  await other.ask("shim_report", { outcome: "done", result: "well" });
  recordFinishedHere(rig.base);
  expect(incomplete(rig)).not.toContain(session);
});

it("[RE70] [RE83] a cancelled task needs nobody; one that is queued or running again does", async () => {
  const { rig, one, other } = await diedAtWork();
  const { session } = one.claude;
  await rig.time.until(other.ask("shim_next", { types: ["tests"], waitMs: 40_000 }));
  recordFinishedHere(rig.base);
  expect(incomplete(rig)).toContain(session);
  await other.ask("shim_report", { outcome: "failed", note: "no" });
  recordFinishedHere(rig.base);
  expect(incomplete(rig)).toContain(session);
  rig.call("tasks.cancel", { task: 1, reason: "not wanted" });
  recordFinishedHere(rig.base);
  expect(incomplete(rig)).not.toContain(session);
  expect(briefOf(rig, session)).toContain("its task 1 (tests) was cancelled: it is no longer needed");
});

it("[RE84] [RE86] undone it stays incomplete; with a later request of its user it is offered all the same", async () => {
  const undone = await diedAtWork();
  await finishedBy(undone.rig, undone.other);
  recordFinishedHere(undone.rig.base);
  expect(undo(undone.rig.base, undone.one.claude.session)).toBe(true);
  recordFinishedHere(undone.rig.base);
  expect(incomplete(undone.rig)).toContain(undone.one.claude.session);

  const { rig, one, other } = await twoChats();
  rig.call("tasks.submit", { tasks: [{ type: "tests" }], requestId: "r1" });
  await one.ask("shim_next", { types: ["tests"] });
  await rig.time.pass(1_000);
  one.claude.prompt("Rewrite the README so that it explains the installation on Windows");
  one.claude.kill();
  await one.team.end("goes_on");
  await finishedBy(rig, other);
  expect(newChat(rig)).toMatch(/task 1 \(tests\) was finished by /);
  expect(incomplete(rig)).toContain(one.claude.session);
});

it("[RE85] a chat that was offered the session before is notified; so is the session when it comes back", async () => {
  const { rig, one, other } = await diedAtWork();
  const { session } = one.claude;
  const heir = await rig.chat("go on");
  expect(rig.base.store.read((sql) => sessions.get(sql, session), null)).toMatchObject({ recovery: "offered" });
  await finishedBy(rig, other);
  await heir.tick();
  await rig.time.pass(15_000);
  await heir.tick();
  const { output } = await heir.ask("shim_inbox");
  expect(JSON.stringify(output["news"])).toContain("its task 1 (tests) was finished by");
  const back = new Claude(rig.base, { pid: 8_000, cwd: rig.project, session });
  expect(JSON.stringify(back.start("resume"))).toContain("its task 1 (tests) was finished by");
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
