import { writeFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome, failed, between, holding, linesOf, type CliHome, printed } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";
import { submit, submitPlan, Worker } from "#harness/worker/worker-rig.ts";
import type { OutputOf } from "#src/contract/operations.ts";

it("a task is submitted with all that it is given, and shown", async () => {
  const home = aCliHome();
  const first = await submit(home, "build");
  const options = "--priority 9 --delay 30s --dedupe-key k1 --tag a --tag b --capability gpu big --payload";
  const task = await submit(home, `lint ${options}`, '{"x":1}');
  const given = { payload: { x: 1 }, priority: 9, capabilities: ["big", "gpu"], dueInMs: 30_000, tags: ["a", "b"] };
  expect(await home.json("task show", task)).toMatchObject({ type: "lint", state: "scheduled", ...given });
  expect((await home.shim("task submit deploy --depends-on", first, task)).out).toMatch(/^Task \d+ is blocked\.\n$/);
  const known = printed(`Task ${task} has this key already: scheduled. Nothing was submitted.\n`);
  expect(await home.shim("task submit lint --dedupe-key k1")).toMatchObject(known);
});

it("the payload comes from an argument, a file or stdin, and must be JSON", async () => {
  const home = aCliHome();
  writeFileSync(join(home.project, "p.json"), "[1]");
  const payload = async (task: string): Promise<unknown> => (await home.json("task show", task))["payload"];
  expect(await payload(await submit(home, "t --payload-file p.json"))).toEqual([1]);
  await home.shimWith({ readInput: async () => '"5"\n' }, "task submit t --payload-file -");
  expect(await payload("2")).toBe("5");
  expect(await home.shim("task submit t --payload-file gone.json")).toMatchObject(failed(3, "there is no file "));
  expect(await home.shim("task submit t --payload-file .")).toMatchObject(failed(1, "is a folder."));
  await home.misuses("task submit t", [
    ["--payload {x", "It is not JSON: "],
    ["--payload-file -", "stdin is empty; JSON is needed."],
    ["--payload 1 --payload-file p.json", "give one payload"],
    ["more", "too many arguments"],
  ]);
});

it("tasks are listed by state, type, chat and tag, over as many pages as it takes", async () => {
  const home = aCliHome();
  const numbers = Array.from({ length: 230 }, (_, at) => at);
  const plan = numbers.map((at) => ({ type: at % 2 ? "odd" : "even", tags: at < 3 ? ["first"] : [] }));
  await submitPlan(home, plan);
  new Worker(home).take();
  const list = async (options = "") => (await home.json(`task list ${options}`)) as OutputOf<"tasks.list">;
  const all = await list("--limit 1000");
  expect([all.tasks.length, all.cursor]).toEqual([230, null]);
  const first = await list();
  expect([first.tasks.length, typeof first.cursor]).toEqual([50, "string"]);
  const filtered = (await list("--tag first --type even")).tasks.map(({ task }) => task);
  expect(filtered).toEqual([all.tasks[0]?.task, all.tasks[2]?.task]);
  const running = printed(/^TASK +STATE .*\n\d+ +running +even +- +5 +w test +0\/3 .*\n$/);
  for (const filter of ["--state running", "--chat w"])
    expect(await home.shim(`task list ${filter}`)).toMatchObject(running);
  expect((await home.shim("task list --limit 210")).out).toMatch(/\nThere are more: --cursor \d+\n$/);
  expect(await home.shim("task list --cursor nonsense")).toMatchObject(failed(2, "cursor"));
});

it("a cancelled task ends, the chat that runs one is notified, and what has ended stays", async () => {
  const home = aCliHome();
  const waiting = await submit(home, "t --delay 1h");
  const cancel = (task: string) => home.shim("task cancel", task, "--reason", "not wanted");
  expect(await cancel(waiting)).toMatchObject(printed(`Task ${waiting} is cancelled.\n`));
  const running = await submit(home, "t");
  const work = new Worker(home).take();
  expect(await cancel(running)).toMatchObject(printed("its chat is asked to stop"));
  expect((await home.shim("task show", running)).out).toMatch(/^state: running, asked to stop$/m);
  work.done();
  const late = `task ${running} is done; a task that has ended cannot be cancelled.`;
  expect(await cancel(running)).toMatchObject(failed(1, late));
});

it("a watch is a line for each change; a dead task and Ctrl-C answer 1", async () => {
  const home = aCliHome();
  const task = await submit(home, "build");
  const stopped = await home.shimWith(between(), "task watch", task);
  expect(stopped).toMatchObject({ code: 1, err: "", out: holding(/^[^\n]+: queued\n$/) });
  const dying = between(() => new Worker(home).take().failed("no disk"));
  const died = /^\S+ \S+ task \d+ \(build\): queued\n\S+ \S+ task \d+ \(build\): dead \(failed\), .*no disk\n$/;
  expect(await home.shimWith(dying, "task watch", task)).toMatchObject({ code: 1, out: holding(died) });
});

it("a watch of all counts the tasks, ends with the last open one, and badly only for one that died meanwhile", async () => {
  const home = aCliHome();
  for (const type of ["build", "test"]) await submit(home, type);
  const done = () => new Worker(home).take().done();
  const steps = between(done, () => new Worker(home).take().failed("no disk"));
  const counts = [
    "0 of 2 done, 0 under way (chats: 0), 2 waiting, 0",
    "1 of 2 done, .* 1 waiting, 0",
    "1 of 2 done, .* 0 waiting, 1",
  ];
  const lines = counts.map((text) => `\\S+ \\S+ ${text.replaceAll(/[()]/g, String.raw`\$&`)} dead or cancelled\n`);
  const out = holding(new RegExp(`^${lines.join("")}$`));
  expect(await home.shimWith(steps, "task watch")).toMatchObject({ code: 1, out });
  await submit(home, "lint");
  const ran = await home.shimWith(between(done), "task watch --json");
  const counted = { totalTasks: 3, inProgressTasks: 0 };
  expect([ran.code, linesOf(ran.out)]).toMatchObject([
    0,
    [
      { ...counted, completedTasks: 1 },
      { ...counted, completedTasks: 2 },
    ],
  ]);
});

it("dead tasks are listed with their reason, replayed with another payload, or discarded", async () => {
  const home = aCliHome();
  const task = await submit(home, "build --payload 1");
  expect((await home.shim("task list --state dead")).out).toBe("No dead tasks.\n");
  for (const filter of ["--tag nightly", "--state dead --type test"])
    expect((await home.shim(`task list ${filter}`)).out).toBe("No task fits.\n");
  expect(await home.shim("task replay", task)).toMatchObject({ code: 1 });
  new Worker(home).take().failed("no\ndisk");
  const dependent = await submit(home, "test --depends-on", task);
  const rows = printed(/^TASK .*\n\d+ +build +1 +failed +1\/3 .* no disk\n\d+ +test +- +dependency /);
  expect(await home.shim("task list --state dead")).toMatchObject(rows);
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
  const [build, test] = [{ type: "build" }, { type: "test" }];
  const [a, b, c, d] = await submitPlan(home, [{ ...build, tags: ["night"] }, build, test, test]);
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

it("of a queued task each chat that lives is named, with what keeps it from it", async () => {
  const home = aCliHome();
  const worker = (chat: string, more = {}) => new Worker(home, { chat, capabilities: ["gpu", "big"], ...more });
  worker("a-lacks", { capabilities: ["gpu"] });
  const full = worker("b-full", { capacity: 1 });
  await submit(home, "other");
  full.take();
  const task = await submit(home, "build --capability gpu big");
  worker("c-drains").drain();
  worker("d-none", { capacity: 0 });
  worker("e-other", { taskTypes: ["lint", "test"] });
  worker("e-stuck").isStuck();
  worker("f-gone").leave();
  worker("g-free", { capacity: 2 });
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
  const assigned = `Task ${task} (build) is assigned: w must start it within 20 s, or it is queued again.`;
  expect(await explained(home, task)).toEqual([assigned]);
  const running = await submit(home, "test");
  const work = worker.take();
  home.now += 12_000;
  const inTime = "is running: by w for 12 s, attempt 1 of 3; it times out in 59 min, ";
  expect((await explained(home, running))[0]).toContain(inTime);
  await home.shim("task cancel", running, "--reason", "not wanted");
  expect((await explained(home, running))[0]).toContain("attempt 1 of 3; it was asked to stop.");
  work.done();
  expect(await explained(home, running)).toEqual([`Task ${running} (test) is done: by w, 0 s ago.`]);
});

it("of a blocked task those that it waits for are named, and of a dead one the cause and what can be done", async () => {
  const home = aCliHome();
  const [done, task] = [await submit(home, "a"), await submit(home, "build")];
  const waiting = await submit(home, "c --delay 1h");
  const dependent = await submit(home, "test --depends-on", done, task, waiting);
  const worker = new Worker(home);
  worker.take().done();
  const work = worker.take();
  work.beat(40, "half way");
  expect(await explained(home, dependent)).toEqual([
    `Task ${dependent} (test) is blocked: 2 of the 3 tasks that it depends on must end first.`,
    `  task ${task} (build): running, by w`,
    `  task ${waiting} (c): scheduled`,
  ]);
  work.failed("no disk");
  expect((await explained(home, task))[0]).toMatch(/is dead: it failed for good, after 1 of 3 attempts; .*no disk\.$/);
  expect((await home.shim("task show", task)).out).toContain(`\n\`shim task replay ${task}\` replays it, `);
  const lines = await explained(home, dependent);
  expect(lines[0]).toContain("is dead: a task that it depends on is dead or cancelled; replay that first");
  await home.shim("task discard", dependent, "--reason", "no use");
  expect((await explained(home, dependent))[0]).toContain("is dead: it was discarded, and cannot be replayed; no use.");
});

/** What the command says of a plan. */
async function plan(home: CliHome, text: string): ReturnType<CliHome["shim"]> {
  writeFileSync(join(home.project, "plan.yaml"), text);
  return home.shim("task submit --graph plan.yaml");
}

async function shown(home: CliHome): Promise<Record<string, unknown>[]> {
  const { tasks } = (await home.json("task list")) as OutputOf<"tasks.list">;
  const all: Record<string, unknown>[] = [];
  for (const { task } of tasks) all.push(await home.json("task show", String(task)));
  return all;
}

it("the graph of the guide is submitted unchanged", async () => {
  const home = aCliHome();
  const guide = readFileSync(join(import.meta.dirname, "../../../docs/guide/tasks.md"), "utf8");
  const [, example = ""] = /```yaml\n([\s\S]*?)```/.exec(guide) ?? [];
  const rows = /^TASK .*\n\d+ +api +test +queued\n\d+ +web +test +queued\n\d+ +summary +report +blocked\n$/;
  expect(await plan(home, example)).toMatchObject({ ...printed(rows), err: "" });
  const [api, web, summary] = await shown(home);
  expect([api?.["payload"], web?.["payload"]]).toEqual([{ folder: "api" }, { folder: "web" }]);
  expect(summary).toMatchObject({ type: "report", dependsOn: [api?.["task"], web?.["task"]] });
});

it("a plan may share parts, gives each task its own settings, and has the values of YAML 1.2 and JSON", async () => {
  const home = aCliHome();
  const text = `- { ref: parser, type: refactor, payload: &where { repository: shop }, priority: 8, capabilities: [git] }
- { ref: lexer, type: refactor, payload: *where, priority: 5 }
- { type: test, dependsOn: [parser, lexer], maxAttempts: 5, payload: { command: [npm, test] } }
`;
  expect(await plan(home, text)).toMatchObject({ code: 0 });
  const [parser, lexer, test] = await shown(home);
  expect(parser).toMatchObject({ payload: { repository: "shop" }, priority: 8, capabilities: ["git"] });
  expect(lexer).toMatchObject({ payload: { repository: "shop" }, priority: 5 });
  const dependsOn = [parser?.["task"], lexer?.["task"]];
  expect(test).toMatchObject({ dependsOn, maxAttempts: 5, payload: { command: ["npm", "test"] } });
  const json = '[\n\t{"type": "t", "payload": {"day": "2026-11-20", "a\\u0020b": [1, 2.5e1, null, true]}}\n]';
  expect(await plan(home, json)).toMatchObject({ code: 0 });
  expect(await plan(home, "- type: on\n  payload: [2026-11-20, yes, 0x10, ~, .5]\n")).toMatchObject({ code: 0 });
  expect((await shown(home)).slice(3)).toMatchObject([
    { payload: { day: "2026-11-20", "a b": [1, 25, null, true] } },
    { type: "on", payload: ["2026-11-20", "yes", 16, null, 0.5] },
  ]);
});

it("what is wrong is reported with its line, all of it at once, and nothing is submitted; what would grow without bounds is refused at once: aliases of aliases, nesting, size", async () => {
  const home = aCliHome();
  for (const [text, why] of [
    ["- type: a\n  ref: [b\n", "plan.yaml, line 3: Flow sequence in block collection"],
    ["- type: a\n  type: b\n", "plan.yaml, line 2: Map keys must be unique."],
    ["- type: a\n\tref: b\n", "plan.yaml, line 2: "],
    ["- type: a\n---\n- type: b\n", "line 2: Source contains multiple documents"],
    ["- type: a\n- type: b\n  payload: .inf\n", "Infinity is not a JSON value."],
    ["- type: a\n  payload: !!binary aGk=\n", "line 2: Unresolved tag: tag:yaml.org,2002:binary."],
    ["- type: a\n  payload: &b\n    - *b\n", "Converting circular structure to JSON."],
    ["- type: a\n  payload: {__proto__: 1}\n", "plan.yaml: no field may have the name __proto__."],
    ["- type: a\n\n- colour: red\n", 'plan.yaml: line 3: type: is missing; line 3: no such field: "colour".'],
    [
      "- type: no blanks\n  priority: 11\n- type: b\n  tags:\n    - ok\n    - 3\n  dependsOn: [c d, yes]\n",
      /line 1: type: .*; line 2: priority: at most 9; line 6: tags.1: must be a string; line 7: dependsOn.0: /,
    ],
    ["- t: 1\n".repeat(8), "and 6 more."],
    ["type: a\n", "plan.yaml holds no array of tasks."],
    ["# nothing\n", "plan.yaml holds no array of tasks."],
  ] as const) {
    const refused = await plan(home, text);
    expect([text, refused]).toMatchObject([text, failed(2, why)]);
    expect(refused.err.trimEnd()).not.toContain("\n");
  }
  const circle = await plan(home, "- {type: a, ref: a, dependsOn: [b]}\n- {type: b, ref: b, dependsOn: [a]}\n");
  expect(circle).toMatchObject(failed(2, /\ba\b.*\bb\b/));
  expect((await home.shim("task list")).out).toBe("No tasks at this machine.\n");
  const laughs = Array.from({ length: 9 }, (_, n) => `    - &a${n + 1} [${`*a${n}, `.repeat(9)}]`);
  const bomb = ["- type: a", "  payload:", "    - &a0 ha", ...laughs].join("\n");
  expect((await plan(home, bomb)).err).toContain("Excessive alias count");
  for (const deep of ["[", "- ", "{a: ", "? "])
    expect((await plan(home, `- type: a\n- ${deep.repeat(20_000)}`)).code).toBe(2);
  expect(await plan(home, `- type: a\n  payload: ${"[".repeat(97)}${"]".repeat(97)}\n`)).toMatchObject({ code: 0 });
  const long = `- type: a\n  payload: ${"x".repeat(10_485_760)}\n`;
  expect((await plan(home, long)).err).toMatch(/plan.yaml has 10485\d+ bytes; at most 10485760\.\n$/);
  expect((await plan(home, "- {type: a}\n".repeat(1_001))).err).toContain("plan.yaml: tasks: at most 1000 of them.");
  expect(await plan(home, `- &t {type: a}\n${"- *t\n".repeat(999)}`)).toMatchObject({ code: 0 });
});

const job = `title: migrate the stores
text: |
  - rename the tables
  - then test it
kinds: [migrate, test]
files:
${Array.from({ length: 40 }, (_, n) => `  - path: m${n % 8}/f${n}.ts`).join("\n")}
`;

it("a complex job is estimated, and submitted as parts with their join", async () => {
  const home = aCliHome();
  write(home.project, { "job.yaml": job });
  const estimated = /^Complexity \d+ of 10 \(split above 8\): files 40 /;
  expect((await home.shim("task jobs estimate job.yaml")).out).toEqual(holding(estimated, "part-8"));
  const made = await home.json("task jobs submit job.yaml --type code --join-rule collect --tag t");
  const { task, parts } = made as OutputOf<"plans.submit">;
  expect(parts).toHaveLength(8);
  const dependsOn = parts.map((part) => part.task);
  const join = { state: "blocked", joinRule: "collect", tags: ["t"], dependsOn };
  expect(await home.json("task show", String(task))).toMatchObject(join);
  const tasks = dependsOn.map((part) => ({ task: part, type: "code", state: "queued" }));
  expect(await home.json("task list --parent", String(task))).toMatchObject({ tasks });
  const worker = new Worker(home);
  for (const _ of parts) worker.take().done({ branch: "shim/job", commit: "a".repeat(40) });
  const merge = "It has no branch of its own; `git merge <branch>` takes that of a part.\n";
  expect(await home.shim(`task show ${task}`)).toMatchObject(printed(merge));
});
