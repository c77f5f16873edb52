import { expect, it } from "vitest";
import { twoChats } from "#harness/team/team-rig.ts";

it("a shim_next that takes nothing says so, and takes none that waits or needs what the chat cannot do", async () => {
  const { rig, one, other } = await twoChats();
  const tasks = [
    { type: "api", ref: "api" },
    { type: "tests", dependsOn: ["api"] },
    { type: "tests", capabilities: ["gpu"] },
    { type: "tests", delayMs: 120_000 },
  ];
  rig.call("tasks.submit", { tasks, requestId: "r1" });
  await other.ask("shim_next", { types: ["api"] });
  const none = await one.ask("shim_next", { types: ["tests"] });
  expect(none.output["task"]).toBeNull();
  expect(none.output["message"]).toMatch(/^No task is available\. A notification comes/);
  await other.ask("shim_report", { outcome: "done" });
  expect((await one.ask("shim_next", { types: ["tests"] })).output["task"]).toMatchObject({ task: 2, isNew: true });
});

it("with waitMs it takes the first task that comes within the time, and answers after that", async () => {
  const { rig, one } = await twoChats();
  const asked = one.ask("shim_next", { types: ["tests"], waitMs: 30_000 });
  await rig.time.pass(5_000);
  rig.call("tasks.submit", { tasks: [{ type: "tests" }], requestId: "r1" });
  const answer = await rig.time.until(asked);
  expect(answer.output["task"]).toMatchObject({ task: 1, isNew: true });
  await one.ask("shim_report", { outcome: "done" });
  const startedAt = rig.time.now;
  const empty = await rig.time.until(one.ask("shim_next", { types: ["tests"], waitMs: 20_000 }));
  expect([empty.output["task"], rig.time.now - startedAt >= 20_000]).toEqual([null, true]);
  await one.refusal("shim_next", { waitMs: 50_001 });
});

it("a chat that waits on an edge takes a task within a second of its submit, and one that another task has freed", async () => {
  const { rig, one, other } = await twoChats();
  const startedAt = rig.edge.count("tasks.claim");
  const asked = one.ask("shim_next", { types: ["tests"], waitMs: 50_000 });
  await rig.time.pass(20_000);
  expect(rig.edge.count("tasks.claim") - startedAt).toBeLessThanOrEqual(4);
  rig.call("tasks.submit", { tasks: [{ type: "tests" }], requestId: "r1" });
  await rig.time.pass(1_000);
  expect((await asked).output["task"]).toMatchObject({ task: 1, isNew: true });
  await one.ask("shim_report", { outcome: "done" });

  const tasks = [
    { type: "api", ref: "api" },
    { type: "tests", dependsOn: ["api"] },
  ];
  rig.call("tasks.submit", { tasks, requestId: "r2" });
  await other.ask("shim_next", { types: ["api"] });
  const freed = one.ask("shim_next", { types: ["tests"], waitMs: 50_000 });
  await rig.time.pass(20_000);
  await other.ask("shim_report", { outcome: "done" });
  await rig.time.pass(1_000);
  expect((await freed).output["task"]).toMatchObject({ task: 3, isNew: true });
  // Nothing is watched any more.
  expect(rig.edge.connections.some((connection) => connection.isWatching("$task/"))).toBe(false);
});

it("a chat that asked in vain is notified once when a task is there that it could take", async () => {
  const { rig, one, other } = await twoChats();
  await one.ask("shim_next", { types: ["tests"] });
  rig.call("tasks.submit", { tasks: [{ type: "docs" }, { type: "tests", capabilities: ["gpu"] }], requestId: "r1" });
  await rig.time.pass(30_000);
  expect(await one.news()).toEqual([]);
  rig.call("tasks.submit", { tasks: [{ type: "tests" }, { type: "tests" }], requestId: "r2" });
  await rig.time.pass(30_000);
  expect(await one.news()).toMatchObject([{ kind: "task_available", task: 3, title: "tests" }]);
  await rig.time.pass(60_000);
  expect([await one.news(), await other.news()]).toEqual([[], []]);
  expect((await one.ask("shim_next", { types: ["tests"] })).output["task"]).toMatchObject({ task: 3 });
});

it("a takeable task makes its chat continue; a chat that has taken one is not notified", async () => {
  const { rig, one, other } = await twoChats();
  for (const chat of [one, other]) await chat.ask("shim_next", { types: ["tests", "docs"] });
  rig.call("tasks.submit", { tasks: [{ type: "docs" }], requestId: "r1" });
  await other.ask("shim_next", { types: ["docs"] });
  rig.call("tasks.submit", { tasks: [{ type: "tests" }], requestId: "r2" });
  await rig.time.pass(30_000);
  expect(JSON.stringify(one.claude.stop())).toMatch(/task 2 .*can be taken now: shim_next/);
  expect(await other.news()).toEqual([]);
});

it("a chat that takes a task is given the commits that it builds on", async () => {
  const { rig, one, other } = await twoChats();
  const tasks = [
    { type: "api", ref: "api" },
    { type: "notes", ref: "notes" },
    { type: "tests", dependsOn: ["api", "notes"] },
  ];
  rig.call("tasks.submit", { tasks, requestId: "r1" });
  const commit = "a".repeat(40);
  for (const [type, result] of [
    ["api", { branch: "shim/task-1-x", commit, output: null }],
    ["notes", { branch: "; rm -rf", commit: "--evil" }],
  ] as const) {
    await other.ask("shim_next", { types: [type] });
    await other.ask("shim_report", { outcome: "done", result });
  }
  const { output } = await one.ask("shim_next", { types: ["tests"] });
  expect(output["message"]).toMatch(
    new RegExp(`merge those that this folder lacks before you start \\(git merge ${commit}\\)`),
  );
});
