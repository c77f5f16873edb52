import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { aCliHome, failed } from "#harness/machine/cli-home.ts";
import { submit, Worker } from "#harness/worker/cli-worker.ts";
import { RealServer } from "#harness/edge/real-server.ts";

it("[CL45] a task is submitted with all that it is given, and shown", async () => {
  const home = aCliHome();
  const first = await submit(home, "build");
  const all = [
    "--priority",
    "9",
    "--capability",
    "gpu",
    "big",
    "--delay",
    "30s",
    "--key",
    "k1",
    "--tag",
    "a",
    "--tag",
    "b",
  ];
  const task = await submit(home, "lint --payload", '{"x":1}', ...all);
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
  expect((await home.shim("task submit lint --key k1")).out).toBe(
    `Task ${task} has this key already: scheduled. Nothing was submitted.\n`,
  );
  expect((await home.shim("task show", task)).out).toMatch(/^payload +\{"x":1\}$/m);
});

it("[CL45] the payload comes from an argument, a file or stdin, and must be JSON", async () => {
  const home = aCliHome();
  writeFileSync(join(home.project, "p.json"), "[1]");
  const payload = async (task: string): Promise<unknown> => (await home.json("task show", task))["payload"];
  expect(await payload(await submit(home, "t --payload-file p.json"))).toEqual([1]);
  for (const dash of [["-"], ["--payload-file", "-"]]) {
    const ran = await home.shimWith({ readInput: async () => '"in"\n' }, "task submit t", ...dash, "--json");
    const { tasks } = ran.json() as OutputOf<"tasks.submit">;
    expect(await payload(String(tasks[0]?.task))).toBe("in");
  }
  for (const [args, code, why] of [
    [["--payload", "{x"], 2, "--payload is not JSON: "],
    [["-"], 2, "stdin is empty; JSON is needed."],
    [["--payload-file", "gone.json"], 3, "there is no file "],
    [["--payload-file", "."], 1, "is a folder. Name a file with JSON."],
    [["-", "--payload", "1"], 2, "give one payload"],
    [["--payload", "1", "--payload-file", "p.json"], 2, "give one payload"],
    [["more"], 2, "only - may follow the type"],
  ] as const) {
    expect(await home.shim("task submit t", ...args)).toMatchObject(failed(code, why));
  }
});

it("[CL45] a graph is submitted from a file, all or nothing", async () => {
  const home = aCliHome();
  const path = join(home.project, "plan.json");
  const graph = async (plan: unknown, ...more: string[]): Promise<{ code: number; out: string; err: string }> => {
    writeFileSync(path, JSON.stringify(plan));
    return home.shim("task submit --graph plan.json", ...more);
  };
  const circle = [
    { type: "a", ref: "a", dependsOn: ["b"] },
    { type: "b", ref: "b", dependsOn: ["a"] },
  ];
  expect(await graph(circle)).toMatchObject({ code: 2 });
  for (const [plan, why] of [
    [{ type: "a" }, "holds no array of tasks"],
    [[], "tasks: at least 1 of them"],
    [[{ type: "a", colour: 1 }], "colour"],
  ] as const) {
    const refused = await graph(plan);
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining(why)]);
  }
  expect((await home.shim("task list")).out).toBe("No tasks at this machine.\n");
  const good = [
    { type: "test", dependsOn: ["b"] },
    { type: "build", ref: "b" },
  ];
  expect((await graph(good)).out).toMatch(/^TASK .*\n\d+ +- +test +blocked\n\d+ +b +build +queued\n$/);
  expect(await graph(good, "--tag", "x")).toMatchObject({ code: 2 });
  expect(await home.shim("task submit build --graph plan.json")).toMatchObject({ code: 2 });
  expect(await home.shim("task submit")).toMatchObject({ code: 2 });
});

it("[CL46] what no coordinator would take is wrong usage, and a task that is not there is not found", async () => {
  const home = aCliHome();
  for (const [args, why] of [
    [["task", "submit", "no blanks"], "1 to 64 letters"],
    [["task", "submit", "t", "--priority", "10"], "0 to 9"],
    [["task", "submit", "t", "--delay", "30"], "Give a duration"],
    [["task", "submit", "t", "--delay", "31d"], "delayMs"],
    [["task", "submit", "t", "--depends-on", "b"], "a task number"],
    [["task", "submit", "t", "--tag", "a", "-"], "directly after the type"],
    [["task", "list", "--state", "asleep"], "It must be blocked, "],
    [["task", "show", "-1"], "is not a task number"],
    [["task", "show", "9007199254740993"], "is not a task number"],
    [["task", "show", "1e3"], "is not a task number"],
    [["task", "cancel", "1"], "--reason"],
    [["task", "cancel", "1", "--reason", ""], "reason"],
    [["queue", "discard", "1"], "--reason"],
    [["queue", "replay", "1", "--payload", "{"], "--payload is not JSON"],
  ] as const) {
    const refused = await home.shim(...args);
    expect([args, refused.code, refused.err]).toEqual([args, 2, expect.stringContaining(why)]);
  }
  for (const args of [
    ["task", "show", "9007199254740991"],
    ["task", "watch", "0"],
    ["task", "cancel", "1", "--reason", "x"],
    ["queue", "replay", "1"],
    ["queue", "discard", "1", "--reason", "x"],
  ])
    expect([args, (await home.shim(...args)).code]).toEqual([args, 3]);
  const refused = await home.shim("task show 1 --json");
  expect(refused.json()).toMatchObject({ error: { code: "unknown_task" } });
});

it("[CL47] tasks are listed by state, type, chat and tag, over as many pages as it takes", async () => {
  const home = aCliHome();
  const plan = Array.from({ length: 230 }, (_, at) => ({
    type: at % 2 ? "odd" : "even",
    tags: at < 3 ? ["first"] : [],
  }));
  writeFileSync(join(home.project, "plan.json"), JSON.stringify(plan));
  await home.shim("task submit --graph plan.json");
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
  expect((await home.shim("task list --limit 210")).out).toMatch(/\nThere are more; --limit shows them\.\n$/);
  expect((await home.shim("task list --chat w")).out).toMatch(/^TASK +STATE .*\n\d+ +running +even +5 +w +0\/3 /);
});

it("[CL47] those right below a task are listed, and no others", async () => {
  const home = aCliHome();
  const plan = [
    { type: "whole", ref: "w" },
    { type: "part", parent: "w" },
    { type: "other" },
    { type: "part", parent: "w" },
  ];
  writeFileSync(join(home.project, "plan.json"), JSON.stringify(plan));
  const { tasks } = (await home.json("task submit --graph plan.json")) as OutputOf<"tasks.submit">;
  const numbers = tasks.map(({ task }) => task);
  const listed = (await home.json("task list --parent", String(numbers[0]))) as OutputOf<"tasks.list">;
  expect(listed.tasks.map(({ task }) => task)).toEqual([numbers[1], numbers[3]]);
  expect((await home.shim("task list --parent w")).code).toBe(2);
});

it("[CL159] a cancelled task ends, the chat that runs one is notified, and what has ended stays", async () => {
  const home = aCliHome();
  const waiting = await submit(home, "t --delay 1h");
  expect(await home.shim("task cancel", waiting, "--reason", "not wanted")).toMatchObject({
    code: 0,
    out: `Task ${waiting} is cancelled.\n`,
  });
  const running = await submit(home, "t");
  const work = new Worker(home).take();
  expect((await home.shim("task cancel", running, "--reason", "x")).out).toContain("its chat is asked to stop");
  expect((await home.shim("task show", running)).out).toMatch(/^state +running, asked to stop$/m);
  work.done();
  const late = await home.shim("task cancel", running, "--reason", "x");
  expect([late.code, late.out]).toEqual([1, `Task ${running} is done; a task that has ended cannot be cancelled.\n`]);
});

it("[CL28] a submit whose answer is lost is sent a second time under the same id", async () => {
  const home = aCliHome();
  const server = await RealServer.listen();
  const answers = [null, '{"tasks":[{"task":4503599627370497,"state":"queued","isDuplicate":false}]}'];
  server.answer = (_request, response) => {
    const text = answers.shift() ?? null;
    if (text === null) response.destroy();
    else response.end(text);
  };
  home.join(server.url);
  expect((await home.shim("task submit build")).out).toBe("Task 4503599627370497 is queued.\n");
  const ids = server.seen.map(({ body }) => (JSON.parse(body) as { requestId?: unknown }).requestId);
  expect([ids.length, new Set(ids).size, typeof ids[0]]).toEqual([2, 1, "string"]);
  expect(await home.shim("task submit", "no blanks")).toMatchObject({ code: 2 });
  expect(server.seen).toHaveLength(2);
});

it("[CL46, CL47] of a workspace an empty page is not the end of a list, and a task that is not there is not found", async () => {
  const home = aCliHome();
  const server = await RealServer.listen();
  const error = { code: "unknown_task", message: "there is no task 7", retryable: false };
  server.answer = ({ url }, response) => {
    if (url.includes("/get")) response.writeHead(404).end(JSON.stringify({ error }));
    else response.end(JSON.stringify({ tasks: [], cursor: url.includes("cursor=9") ? null : "9" }));
  };
  home.join(server.url);
  expect(await home.json("task list --tag", "x y")).toEqual({ tasks: [], cursor: null });
  expect(server.seen.map(({ url }) => url.split("?")[1])).toEqual(["tag=x+y&limit=50", "tag=x+y&limit=50&cursor=9"]);
  expect(await home.shim("task show 7")).toMatchObject({ code: 3, err: "shim: there is no task 7\n" });
});
