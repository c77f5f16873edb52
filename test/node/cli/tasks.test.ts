import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { aCliHome, failed, between, holding, type CliHome } from "#harness/machine/cli-home.ts";
import { submit, submitPlan, Worker } from "#harness/worker/cli-worker.ts";

it("a task is submitted with all that it is given, and shown", async () => {
  const home = aCliHome();
  const first = await submit(home, "build");
  const options = "--priority 9 --delay 30s --dedupe-key k1 --tag a --tag b --capability gpu big --payload";
  const task = await submit(home, `lint ${options}`, '{"x":1}');
  expect(await home.json("task show", task)).toMatchObject({
    task: Number(task),
    type: "lint",
    state: "scheduled",
    payload: { x: 1 },
    priority: 9,
    capabilities: ["big", "gpu"],
    dueInMs: 30_000,
    tags: ["a", "b"],
    attempts: [],
  });
  expect((await home.shim("task submit deploy --depends-on", first, task)).out).toMatch(/^Task \d+ is blocked\.\n$/);
  expect((await home.shim("task submit lint --dedupe-key k1")).out).toBe(
    `Task ${task} has this key already: scheduled. Nothing was submitted.\n`,
  );
  expect((await home.shim("task show", task)).out).toMatch(/^payload: \{"x":1\}$/m);
});

it("the payload comes from an argument, a file or stdin, and must be JSON", async () => {
  const home = aCliHome();
  writeFileSync(join(home.project, "p.json"), "[1]");
  const payload = async (task: string): Promise<unknown> => (await home.json("task show", task))["payload"];
  expect(await payload(await submit(home, "t --payload-file p.json"))).toEqual([1]);
  const ran = await home.shimWith({ readInput: async () => '"5"\n' }, "task submit t --payload-file - --json");
  const { tasks } = ran.json() as OutputOf<"tasks.submit">;
  expect(await payload(String(tasks[0]?.task))).toBe("5");
  expect(await payload(await submit(home, "t --payload", '"5"'))).toBe("5");
  expect(await home.shim("task submit t --payload-file gone.json")).toMatchObject(failed(3, "there is no file "));
  const folder = await home.shim("task submit t --payload-file .");
  expect(folder).toMatchObject(failed(1, "is a folder. Name a file with JSON."));
  await home.misuses("task submit t", [
    ["--payload {x", "It is not JSON: "],
    ["--payload-file -", "stdin is empty; JSON is needed."],
    ["--payload 1 --payload-file p.json", "give one payload"],
    ["more", "too many arguments"],
  ]);
});

it("what no coordinator would take is wrong usage, and a task that is not there is not found @night", async () => {
  const home = aCliHome();
  await home.misuses("task", [
    [["submit", "no blanks"], "1 to 64 letters"],
    ["submit t --priority 10", "priority: at most 9"],
    ["submit t --delay 30", "Give a duration"],
    ["submit t --depends-on b", "It must be a number"],
    ["list --state asleep", "Allowed choices are blocked, "],
    ["show 9007199254740993", "task: "],
    ["cancel 1", "--reason"],
    ["replay 1 --payload {", "It is not JSON"],
  ]);
  const unknown = ["task show 9007199254740991", "task watch 0", "task cancel 1 --reason x", "task replay 1"];
  expect(await home.codes(...unknown, "task discard 1 --reason x")).toEqual([3, 3, 3, 3, 3]);
});

it("tasks are listed by state, type, chat and tag, over as many pages as it takes", async () => {
  const home = aCliHome();
  const numbers = Array.from({ length: 230 }, (_, at) => at);
  await submitPlan(
    home,
    numbers.map((at) => ({ type: at % 2 ? "odd" : "even", tags: at < 3 ? ["first"] : [] })),
  );
  new Worker(home).take();
  const list = async (...args: string[]): Promise<OutputOf<"tasks.list">> =>
    (await home.json("task list", ...args)) as OutputOf<"tasks.list">;
  const all = await list("--limit", "1000");
  expect([all.tasks.length, all.cursor]).toEqual([230, null]);
  const first = await list();
  expect([first.tasks.length, typeof first.cursor]).toEqual([50, "string"]);
  expect((await list("--tag", "first", "--type", "even")).tasks.map(({ task }) => task)).toEqual([
    all.tasks[0]?.task,
    all.tasks[2]?.task,
  ]);
  expect((await list("--state", "running")).tasks).toEqual((await list("--chat", "w")).tasks);
  expect((await list("--chat", "w")).tasks).toHaveLength(1);
  expect((await home.shim("task list --limit 210")).out).toMatch(/\nThere are more: --cursor \d+\n$/);
  expect((await home.shim("task list --chat w")).out).toMatch(/^TASK +STATE .*\n\d+ +running +even +5 +w test +0\/3 /);
});

it("a cancelled task ends, the chat that runs one is notified, and what has ended stays", async () => {
  const home = aCliHome();
  const waiting = await submit(home, "t --delay 1h");
  const cancelled = await home.shim("task cancel", waiting, "--reason", "not wanted");
  expect(cancelled).toMatchObject({ code: 0, out: `Task ${waiting} is cancelled.\n` });
  const running = await submit(home, "t");
  const work = new Worker(home).take();
  expect((await home.shim("task cancel", running, "--reason", "x")).out).toContain("its chat is asked to stop");
  expect((await home.shim("task show", running)).out).toMatch(/^state: running, asked to stop$/m);
  work.done();
  const late = await home.shim("task cancel", running, "--reason", "x");
  expect(late).toMatchObject(failed(1, `task ${running} is done; a task that has ended cannot be cancelled.`));
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
  const replayed = async (options: string): Promise<number[]> =>
    ((await home.json(`task replay ${options}`)) as OutputOf<"tasks.replay">).tasks.map(({ task }) => task);
  expect(await replayed("--reason poison")).toEqual([]);
  expect(await replayed("--type build --tag night")).toEqual([a]);
  expect(await replayed("--limit 1")).toEqual([b]);
  expect(await replayed("--reason failed")).toEqual([c, d]);
  await home.misuses("task replay", [
    ["", "name a dead task, or which ones"],
    ["1 --type build", "not both"],
    ["--type build --payload 1", "--payload is for one task."],
  ]);
});

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

const aWorker = (...args: ConstructorParameters<typeof Worker>): Worker => new Worker(...args);

it("of a queued task each chat that lives is named, with what keeps it from it", async () => {
  const home = aCliHome();
  const all = ["gpu", "big"];
  aWorker(home, { chat: "a-lacks" });
  const full = aWorker(home, { chat: "b-full", capabilities: all, capacity: 1 });
  await submit(home, "other");
  full.take();
  const task = await submit(home, "build --capability gpu big");
  aWorker(home, { chat: "c-drains", capabilities: all }).drain();
  aWorker(home, { chat: "d-none", capabilities: all, capacity: 0 });
  aWorker(home, { chat: "e-other", capabilities: all, taskTypes: ["lint", "test"] });
  aWorker(home, { chat: "e-stuck", capabilities: all }).isStuck();
  aWorker(home, { chat: "f-gone", capabilities: all }).leave();
  aWorker(home, { chat: "g-free", capabilities: all, capacity: 2 });
  expect(await explained(home, task)).toEqual([
    `Task ${task} (build) is queued: 1 of the 7 live chats can take it.`,
    "  a-lacks: lacks a capability (big)",
    "  b-full: is full",
    "  c-drains: is draining",
    "  d-none: takes no tasks",
    "  e-other: takes other types",
    "  e-stuck: reports that it is stuck",
    "  g-free: can take it",
  ]);
});

it("of a claimed task its holder, its progress and its deadline are named", async () => {
  const home = aCliHome();
  const task = await submit(home, "build");
  const worker = new Worker(home);
  worker.take(false);
  home.now += 10_000;
  const [assigned] = await explained(home, task);
  expect(assigned).toBe(`Task ${task} (build) is assigned: w must start it within 20 s, or it is queued again.`);
  const running = await submit(home, "test");
  const work = worker.take();
  home.now += 12_000;
  expect((await explained(home, running))[0]).toMatch(
    /is running: by w for 12 s, attempt 1 of 3; it times out in 59 min, /,
  );
  await home.shim("task cancel", running, "--reason", "not wanted");
  expect((await explained(home, running))[0]).toContain("attempt 1 of 3; it was asked to stop.");
  work.done();
  expect(await explained(home, running)).toEqual([`Task ${running} (test) is done: by w, 0 s ago.`]);
});

it("of a dead task it is said why, and what can be done", async () => {
  const home = aCliHome();
  const task = await submit(home, "build");
  const dependent = await submit(home, "test --depends-on", task);
  new Worker(home).take().failed("no disk");
  expect((await explained(home, task))[0]).toMatch(/is dead: it failed for good, after 1 of 3 attempts; .*no disk\.$/);
  expect((await home.shim("task show", task)).out).toContain(`\n\`shim task replay ${task}\` replays it, `);
  const lines = await explained(home, dependent);
  expect(lines[0]).toContain("is dead: a task that it depends on is dead or cancelled; replay that first");
  await home.shim("task discard", dependent, "--reason", "no use");
  expect((await explained(home, dependent))[0]).toContain("is dead: it was discarded, and cannot be replayed; no use.");
});
