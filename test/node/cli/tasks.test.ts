import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { aCliHome, failed, type CliHome } from "#harness/machine/cli-home.ts";
import { submit, submitPlan, Worker } from "#harness/worker/cli-worker.ts";
import { RealServer } from "#harness/edge/real-server.ts";

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

it("a graph is submitted from a file, all or nothing", async () => {
  const home = aCliHome();
  const graph = async (plan: unknown): ReturnType<CliHome["shim"]> => {
    writeFileSync(join(home.project, "plan.json"), JSON.stringify(plan));
    return home.shim("task submit --graph plan.json");
  };
  expect(await graph([])).toMatchObject(failed(2, "tasks: at least 1 of them"));
  expect(await graph([{ type: "a" }, { type: "a", colour: 1 }])).toMatchObject(failed(2, "colour"));
  expect((await home.shim("task list")).out).toBe("No tasks at this machine.\n");
  const good = [
    { type: "test", dependsOn: ["b"] },
    { type: "build", ref: "b" },
  ];
  expect((await graph(good)).out).toMatch(/^TASK .*\n\d+ +- +test +blocked\n\d+ +b +build +queued\n$/);
  const mixed = ["task submit --graph plan.json --tag x", "task submit build --graph plan.json", "task submit"];
  expect(await home.codes(...mixed)).toEqual([2, 2, 2]);
});

it("what no coordinator would take is wrong usage, and a task that is not there is not found @night", async () => {
  const home = aCliHome();
  await home.misuses("task", [
    [["submit", "no blanks"], "1 to 64 letters"],
    ["submit t --priority 10", "priority: at most 9"],
    ["submit t --delay 30", "Give a duration"],
    ["submit t --delay 31d", "delayMs"],
    ["submit t --depends-on b", "It must be a number"],
    ["list --state asleep", "Allowed choices are blocked, "],
    ["show 9007199254740993", "task: "],
    ["show 1e3", "task: must be a number"],
    ["cancel 1", "--reason"],
    [["cancel", "1", "--reason", ""], "reason"],
  ]);
  await home.misuses("task", [
    ["discard 1", "--reason"],
    ["replay 1 --payload {", "It is not JSON"],
  ]);
  const unknown = ["task show 9007199254740991", "task watch 0", "task cancel 1 --reason x", "task replay 1"];
  expect(await home.codes(...unknown, "task discard 1 --reason x")).toEqual([3, 3, 3, 3, 3]);
  expect((await home.shim("task show 1 --json")).error).toBe("unknown_task");
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

it("those right below a task are listed, and no others", async () => {
  const home = aCliHome();
  const part = { type: "part", parent: "w" };
  const numbers = await submitPlan(home, [{ type: "whole", ref: "w" }, part, { type: "other" }, part]);
  const listed = (await home.json("task list --parent", String(numbers[0]))) as OutputOf<"tasks.list">;
  expect(listed.tasks.map(({ task }) => task)).toEqual([numbers[1], numbers[3]]);
  expect((await home.shim("task list --parent w")).code).toBe(2);
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

it("a submit whose answer is lost is sent a second time under the same id", async () => {
  const home = aCliHome();
  const task = '{"task":4503599627370497,"state":"queued","isDuplicate":false}';
  const server = await RealServer.answering(null, `{"tasks":[${task}]}`);
  home.join(server.url);
  expect((await home.shim("task submit build")).out).toBe("Task 4503599627370497 is queued.\n");
  const ids = server.requestIds;
  expect([ids.length, new Set(ids).size, typeof ids[0]]).toEqual([2, 1, "string"]);
  expect(await home.shim("task submit", "no blanks")).toMatchObject({ code: 2 });
  expect(server.seen).toHaveLength(2);
});

it("of a workspace an empty page is not the end of a list, and a task that is not there is not found", async () => {
  const home = aCliHome();
  const server = await RealServer.listen();
  const error = { code: "unknown_task", message: "there is no task 7", retryable: false };
  server.answer = ({ url }, response) => {
    if (url.includes("/explain")) response.writeHead(404).end(JSON.stringify({ error }));
    else response.end(JSON.stringify({ tasks: [], cursor: url.includes("cursor=9") ? null : "9" }));
  };
  home.join(server.url);
  expect(await home.json("task list --tag", "x y")).toEqual({ tasks: [], cursor: null });
  expect(server.seen.map(({ url }) => url.split("?")[1])).toEqual(["tag=x+y&limit=50", "tag=x+y&limit=50&cursor=9"]);
  expect(await home.shim("task show 7")).toMatchObject({ code: 3, err: "shim: there is no task 7\n" });
});
