import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { aCliHome, between, holding, linesOf } from "#harness/machine/cli-home.ts";
import { submit, submitPlan, Worker } from "#harness/worker/cli-worker.ts";

it("of a task with parts it says how many are done", async () => {
  const home = aCliHome();
  const plan = [
    { type: "join", ref: "join", dependsOn: ["a", "b"], joinRule: "count" },
    ...["a", "b"].map((ref) => ({ type: "part", ref, parent: "join" })),
  ];
  await submitPlan(home, plan);
  const worker = new Worker(home);
  const finish = (): void => worker.take().done();
  const ran = await home.shimWith(between(finish, finish), "task watch 1");
  expect([ran.code, ran.out.trimEnd().split("\n")].flat()).toEqual([
    0,
    ...["blocked, 0 of 2", "blocked, 1 of 2", "done, 2 of 2"].map((text) => holding(text)),
  ]);
});

it("a watch is a line for each change; a dead task and Ctrl-C answer 1", async () => {
  const home = aCliHome();
  const task = await submit(home, "build");
  const stopped = await home.shimWith(between(), "task watch", task);
  expect(stopped).toMatchObject({ code: 1, err: "", out: holding(/^[^\n]+: queued\n$/) });
  const dying = between(() => new Worker(home).take().failed("no disk"));
  const died = /^\S+ \S+ task \d+ \(build\): queued\n\S+ \S+ task \d+ \(build\): dead \(failed\), .*no disk\n$/;
  expect(await home.shimWith(dying, "task watch", task)).toMatchObject({ code: 1, out: holding(died) });
  const again = await home.shim("task watch", task, "--json");
  expect([again.code, again.json()]).toMatchObject([1, { state: "dead", reason: "failed" }]);
});

it("a change ends the wait between two looks of a watch", async () => {
  const home = aCliHome();
  const task = await submit(home, "build");
  const finish = [() => new Worker(home).take().done()];
  const wait = (_ms: number, hint: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      hint.addEventListener("abort", () => resolve());
      finish.shift()?.();
    });
  const ran = await home.shimWith({ interrupted: () => new AbortController().signal, wait }, "task watch", task);
  expect(ran).toMatchObject({ code: 0, out: holding(": done\n") });
});

it("without a task the watch is of all, until none is open", async () => {
  const home = aCliHome();
  await submit(home, "a");
  await submit(home, "b");
  const worker = new Worker(home);
  const io = between(
    () => worker.take().done(),
    () => worker.take().failed("no disk"),
  );
  const ran = await home.shimWith(io, "task watch --json");
  expect([ran.code, linesOf(ran.out)]).toMatchObject([
    1,
    [{ queuedTasks: 2 }, { completedTasks: 1 }, { queuedTasks: 0 }],
  ]);
  expect((await home.shim("task watch")).out).toMatch(/ 1 of 2 done, .* 1 dead or cancelled\n$/);
  expect(await home.shim("task watch")).toMatchObject({ code: 0 });
});

it("dead tasks are listed with their reason, replayed with another payload, or discarded", async () => {
  const home = aCliHome();
  const task = await submit(home, "build --payload 1");
  expect((await home.shim("task list --state dead")).out).toBe("No dead tasks.\n");
  expect(await home.shim("task replay", task)).toMatchObject({ code: 1 });
  const worker = new Worker(home);
  worker.take().failed("no\ndisk");
  const dependent = await submit(home, "test --depends-on", task);
  expect((await home.shim("task list --state dead")).out).toMatch(
    /^TASK .*\n\d+ +build +failed +1\/3 .* no disk\n\d+ +test +dependency /,
  );
  expect((await home.shim("task replay", dependent)).err).toContain("replay that one first");
  expect((await home.shim("task replay", task, "--payload", "2")).out).toBe(`Task ${task} was replayed: queued.\n`);
  const replayed = { payload: 2, failures: 0, attempts: [{ end: "failed", chat: "w", reason: "no\ndisk" }] };
  expect(await home.json("task show", task)).toMatchObject(replayed);
  expect((await home.shim("task show", task)).out).toMatch(/\nATTEMPT .*\n1 +w test +failed .* no disk\n$/);
  expect(await home.shim("task discard", task, "--reason", "x")).toMatchObject({ code: 1 });
  expect((await home.shim("task discard", dependent, "--reason", "old")).out).toBe(`Task ${dependent} is discarded.\n`);
  expect((await home.shim("task replay", dependent)).err).toContain("it was discarded");
});

it("dead tasks that fit are replayed together, and a filter is not mixed with a task", async () => {
  const home = aCliHome();
  const types = ["build", "build", "test", "test"];
  const [a, b, c, d] = await submitPlan(
    home,
    types.map((type, at) => ({ type, tags: at % 2 ? [] : ["night"] })),
  );
  const worker = new Worker(home);
  for (let n = 0; n < 4; n++) worker.take().failed("no disk");
  const dead = async (): Promise<number[]> =>
    ((await home.json("task list --state dead")) as OutputOf<"tasks.list">).tasks.map(({ task }) => task);
  expect((await home.shim("task replay --reason poison")).out).toBe("No dead task that can be replayed matches.\n");
  expect((await home.shim("task replay --type build --tag night")).out).toMatch(
    new RegExp(`^1 task replayed\\.\nTASK +STATE\n${a} +queued\n$`),
  );
  expect(await home.json("task replay --limit 1")).toEqual({ tasks: [{ task: b, state: "queued" }] });
  expect(await dead()).toEqual([c, d]);
  expect((await home.shim("task replay --reason failed")).out).toMatch(/^2 tasks replayed\.\n/);
  expect(await dead()).toEqual([]);
  await home.misuses("task replay", [
    ["", "name a dead task, or which ones"],
    ["1 --type build", "not both"],
    ["--type build --payload 1", "--payload is for one task."],
    ["--reason discarded", "failed, poison, expired, dependency, budget_exceeded"],
    ["--limit 501", "at most 500"],
  ]);
});

it("figures by type", async () => {
  const home = aCliHome();
  expect((await home.shim("task stats")).out).toBe("No tasks.\n");
  await submit(home, "build");
  await submit(home, "build");
  const work = new Worker(home).take();
  home.now += 5_000;
  work.done();
  expect((await home.shim("task stats")).out).toMatch(/\nbuild +1 +5 s +0 +1 +0 +1 +0 s \/ 0 s +5 s \/ 5 s\n$/);
  expect(await home.json("task stats")).toMatchObject({ types: [{ type: "build", done: 1 }] });
});
