import { expect, it } from "vitest";
import { aCliHome, type CliHome } from "#harness/machine/cli-home.ts";
import { submit, submitPlan, Worker } from "#harness/worker/cli-worker.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { realEdgeClient } from "#harness/edge/real-edge-client.ts";

async function explained(home: CliHome, task: string): Promise<string[]> {
  const ran = await home.shim("task show", task);
  expect([ran.code, ran.err]).toEqual([0, ""]);
  const why = (await home.json("task show", task))["why"] as string[];
  expect(ran.out.startsWith(`${why.join("\n")}\n`)).toBe(true);
  return why;
}

it("of a blocked task those that it waits for are named, and how they are", async () => {
  const home = aCliHome();
  const [done, running] = [await submit(home, "a"), await submit(home, "b")];
  const waiting = await submit(home, "c --delay 1h");
  const task = await submit(home, "test --depends-on", done, running, waiting);
  const worker = new Worker(home);
  worker.take().done();
  worker.take().beat(40, "half way");
  expect(await explained(home, task)).toEqual([
    `Task ${task} (test) is blocked: 2 of the 3 tasks that it depends on must end first.`,
    `  task ${running} (b): running, by w`,
    `  task ${waiting} (c): scheduled`,
  ]);
  expect(await home.json("task show", task)).toMatchObject({
    state: "blocked",
    needs: ["done", "running", "scheduled"].map((state) => ({ known: { state } })),
  });
});

it("of a scheduled task it is said until when it waits", async () => {
  const home = aCliHome();
  const asked = await submit(home, "a --delay 2h");
  expect(await explained(home, asked)).toEqual([
    expect.stringMatching(/^Task \d+ \(a\) is scheduled: it is queued in 2 h\.$/),
  ]);
});

function aWorker(home: CliHome, chat: string, more: ConstructorParameters<typeof Worker>[1] = {}): Worker {
  return new Worker(home, { chat, ...more });
}

it("of a queued task each chat that lives is named, with what keeps it from it", async () => {
  const home = aCliHome();
  const task = await submit(home, "build --capability gpu big");
  expect(await explained(home, task)).toEqual([`Task ${task} (build) is queued: 0 of the 0 live chats can take it.`]);
  const all = ["gpu", "big"];
  aWorker(home, "a-lacks");
  const full = new Worker(home, { chat: "b-full", capabilities: all, capacity: 1 });
  await submit(home, "other");
  await home.shim("task cancel", task, "--reason", "again");
  full.take();
  const again = await submit(home, "build --capability gpu big");
  aWorker(home, "c-drains", { capabilities: all }).drain();
  aWorker(home, "d-none", { capabilities: all, capacity: 0 });
  aWorker(home, "e-other", { capabilities: all, taskTypes: ["lint", "test"] });
  aWorker(home, "e-stuck", { capabilities: all }).isStuck();
  aWorker(home, "f-gone", { capabilities: all }).leave();
  const obstacles = [
    "  a-lacks: lacks a capability (big)",
    "  b-full: is full",
    "  c-drains: is draining",
    "  d-none: takes no tasks",
    "  e-other: takes other types",
    "  e-stuck: reports that it is stuck",
  ];
  expect(await explained(home, again)).toEqual([
    `Task ${again} (build) is queued: 0 of the 6 live chats can take it.`,
    ...obstacles,
  ]);
  aWorker(home, "g-free", { capabilities: all, capacity: 2 });
  expect(await explained(home, again)).toEqual([
    `Task ${again} (build) is queued: 1 of the 7 live chats can take it.`,
    ...obstacles,
    "  g-free: can take it",
  ]);
  expect(await home.json("task show", again)).toMatchObject({
    claimants: [
      { obstacle: "lacks_capability", lacks: ["big"] },
      { obstacle: "full" },
      { obstacle: "draining" },
      { obstacle: "takes_none" },
      { obstacle: "other_types" },
      { obstacle: "stuck" },
      { obstacle: null },
    ],
  });
});

it("of a queued task a budget that is used up is named, of the chat or of the day", async () => {
  const home = aCliHome();
  const worker = new Worker(home);
  await submit(home, "build");
  const work = worker.take();
  const task = await submit(home, "build");
  worker.set({ budgets: { task: {}, chat: { tokens: 100 }, day: { tokens: 1_000 } } });
  work.used({ tokens: 150 });
  expect((await explained(home, task))[1]).toBe("  w: has used up its budget, or the workspace its own of today (UTC)");
  worker.set({ budgets: { chat: { tokens: null }, day: { tokens: 120 } } });
  expect(await explained(home, task)).toEqual([
    `Task ${task} (build) is queued: 0 of the 1 live chat can take it.`,
    "  w: has used up its budget, or the workspace its own of today (UTC)",
  ]);
});

it("of a join it is said that the coordinator makes it", async () => {
  const home = aCliHome();
  const plan = [
    { type: "part", ref: "p" },
    { type: "join", joinRule: "collect", dependsOn: ["p"] },
  ];
  const [, join] = await submitPlan(home, plan);
  const task = String(join);
  expect((await explained(home, task))[0]).toContain("is blocked: 1 of the 1 task");
  new Worker(home).take().done();
  expect(await explained(home, task)).toEqual([
    `Task ${task} (join) is done: the coordinator has joined the results of its parts (collect).`,
  ]);
});

it("of a claimed task its holder, its progress and its deadline are named", async () => {
  const home = aCliHome();
  const task = await submit(home, "build");
  const worker = new Worker(home);
  worker.take(false);
  home.now += 10_000;
  expect(await explained(home, task)).toEqual([
    `Task ${task} (build) is assigned: w must start it within 20 s, or it is queued again.`,
  ]);
  const running = await submit(home, "test");
  const work = worker.take();
  home.now += 5_000;
  work.beat(40, "half\nway");
  home.now += 7_000;
  expect(await explained(home, running)).toEqual([
    `Task ${running} (test) is running: by w for 12 s, attempt 1 of 3; it times out in 59 min, and stalls after 53 s without a heartbeat.`,
  ]);
  await home.shim("task cancel", running, "--reason", "not wanted");
  expect(await explained(home, running)).toEqual([
    `Task ${running} (test) is running: by w for 12 s, attempt 1 of 3; it was asked to stop.`,
  ]);
  work.done();
  expect(await explained(home, running)).toEqual([`Task ${running} (test) is done: by w, 0 s ago.`]);
});

it("of a dead task it is said why, how each attempt ended, and what can be done", async () => {
  const home = aCliHome();
  const task = await submit(home, "build");
  const dependent = await submit(home, "test --depends-on", task);
  const work = new Worker(home).take();
  home.now += 3_000;
  work.failed("no disk");
  expect(await explained(home, task)).toEqual([
    expect.stringMatching(/^Task \d+ \(build\) is dead: it failed for good, after 1 of 3 attempts; .*no disk\.$/),
  ]);
  expect((await home.shim("task show", task)).out).toContain(
    `\n\`shim task replay ${task}\` replays it, \`shim task discard ${task} --reason <text>\` discards it.\n`,
  );
  const lines = await explained(home, dependent);
  expect(lines[0]).toContain("is dead: a task that it depends on is dead or cancelled; replay that first");
  expect(lines.slice(1)).toEqual([`  task ${task} (build): dead`]);
  await home.shim("task discard", dependent, "--reason", "no use");
  expect(await explained(home, dependent)).toEqual([
    `Task ${dependent} (test) is dead: it was discarded, and cannot be replayed; no use.`,
  ]);
  const cancelled = await submit(home, "c");
  await home.shim("task cancel", cancelled, "--reason", "not wanted");
  expect(await explained(home, cancelled)).toEqual([`Task ${cancelled} (c) is cancelled: not wanted.`]);
});

it("a task that does not exist is not found, and no number is no task", async () => {
  const home = aCliHome();
  const unknown = await home.shim("task show 7");
  expect(unknown).toMatchObject({ code: 3, err: "shim: there is no task 7, or it is no longer kept\n" });
  expect(await home.shim("task show 9007199254740993")).toMatchObject({ code: 2 });
});

it("in a workspace it is the same, with the connections of its chats @night", async () => {
  const edge = await EdgeRuntime.open();
  const { url, workspace, adminToken } = edge;
  const home = aCliHome();
  home.join(url, { workspace, machine: "admin", token: adminToken });
  await realEdgeClient(url, adminToken, "given", { taskTypes: ["lint"], capabilities: ["gpu"] });
  const unheard = { chat: "unheard", session: "u", process: "u", machine: "admin", client: "test" };
  await edge.call("chats.register", { ...unheard, taskTypes: ["*"], capabilities: ["gpu"] });
  const task = await submit(home, "build --capability gpu");
  const dependent = await submit(home, "test --depends-on", task);
  expect(await explained(home, task)).toEqual([
    `Task ${task} (build) is queued: 1 of the 2 live chats can take it.`,
    "  given: takes other types",
    "  unheard: can take it",
  ]);
  expect((await explained(home, dependent))[1]).toBe(`  task ${task} (build): queued`);
  expect(await home.shim("task show 7")).toMatchObject({ code: 3 });
});
