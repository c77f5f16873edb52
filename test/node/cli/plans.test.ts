import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { aCliHome, failed, holding, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";

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
  const guide = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "guide", "tasks.md"), "utf8");
  const [, example = ""] = /```yaml\n([\s\S]*?)```/.exec(guide) ?? [];
  const rows = /^TASK .*\n\d+ +api +test +queued\n\d+ +web +test +queued\n\d+ +summary +report +blocked\n$/;
  expect(await plan(home, example)).toMatchObject({ ...printed(rows), err: "" });
  const [api, web, summary] = await shown(home);
  expect([api?.["payload"], web?.["payload"]]).toEqual([{ folder: "api" }, { folder: "web" }]);
  expect(summary).toMatchObject({ type: "report", dependsOn: [api?.["task"], web?.["task"]] });
});

it("a plan may share parts, and give each task its priority, abilities and tries", async () => {
  const home = aCliHome();
  const text = [
    "- { ref: parser, type: refactor, payload: &where { repository: shop }, priority: 8, capabilities: [git] }",
    "- { ref: lexer, type: refactor, payload: *where, priority: 5 }",
    "- { type: test, dependsOn: [parser, lexer], maxAttempts: 5, payload: { command: [npm, test] } }",
  ];
  expect(await plan(home, `${text.join("\n")}\n`)).toMatchObject({ code: 0 });
  const [parser, lexer, test] = await shown(home);
  expect(parser).toMatchObject({ payload: { repository: "shop" }, priority: 8, capabilities: ["git"] });
  expect(lexer).toMatchObject({ payload: { repository: "shop" }, priority: 5 });
  const dependsOn = [parser?.["task"], lexer?.["task"]];
  expect(test).toMatchObject({ dependsOn, maxAttempts: 5, payload: { command: ["npm", "test"] } });
});

it("values are those of YAML 1.2 and JSON: no dates, no yes, and tabs as JSON has them", async () => {
  const home = aCliHome();
  const text = '[\n\t{"type": "t", "payload": {"day": "2026-11-20", "a\\u0020b": [1, 2.5e1, null, true]}}\n]';
  expect(await plan(home, text)).toMatchObject({ code: 0 });
  expect(await plan(home, "- type: on\n  payload: [2026-11-20, yes, 0x10, ~, .5]\n")).toMatchObject({ code: 0 });
  const [json, yaml] = await shown(home);
  expect(json?.["payload"]).toEqual({ day: "2026-11-20", "a b": [1, 25, null, true] });
  expect(yaml).toMatchObject({ type: "on", payload: ["2026-11-20", "yes", 16, null, 0.5] });
});

it("what is wrong is reported with its line, all of it at once, and nothing is submitted", async () => {
  const home = aCliHome();
  for (const [text, why] of [
    ["- type: a\n  ref: [b\n", "plan.yaml, line 3: Flow sequence in block collection"],
    ['[\n{"type": "a"', "plan.yaml, line 2: Flow map"],
    ['[{"type": "a"},\n{"type" "b"}]', "plan.yaml, line 2: Missing , or :"],
    ["- type: a\n  type: b\n", "plan.yaml, line 2: Map keys must be unique."],
    ["- type: a\n\tref: b\n", "plan.yaml, line 2: "],
    ["- type: a\n---\n- type: b\n", "line 2: Source contains multiple documents"],
    ["- type: a\n- type: b\n  payload: .inf\n", "Infinity is not a JSON value."],
    ["- type: a\n  payload: !!binary aGk=\n", "line 2: Unresolved tag: tag:yaml.org,2002:binary."],
    ["- type: a\n  payload: !!set {a}\n", "line 2: Unresolved tag: tag:yaml.org,2002:set."],
    ["- type: a\n  payload: !mine b\n", "line 2: Unresolved tag: !mine."],
    ["- type: a\n  payload: *b\n", "Unresolved alias (the anchor must be set before the alias): b."],
    ["- type: a\n  payload: &b\n    - *b\n", "Converting circular structure to JSON."],
    ["- type: a\n  payload: {__proto__: 1}\n", "plan.yaml: no field may have the name __proto__."],
    ["- type: a\n\n- colour: red\n", 'plan.yaml: line 3: type: is missing; line 3: no such field: "colour".'],
    [
      "- type: no blanks\n  priority: 11\n- type: b\n  tags:\n    - ok\n    - 3\n  maxattempts: 1\n  dependsOn: [c d, yes, false]\n",
      'line 1: type: 1 to 64 letters, digits and . : _ -; line 2: priority: at most 9; line 6: tags.1: must be a string; line 7: no such field: "maxattempts"; line 8: dependsOn.0: 1 to 128 letters, digits and . : @ _ -; line 8: dependsOn.2: must be a number, or must be a string.',
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
});

it("what would grow without bounds is refused at once: aliases of aliases, nesting, size", async () => {
  const home = aCliHome();
  const laughs = Array.from({ length: 9 }, (_, n) => `    - &a${n + 1} [${`*a${n}, `.repeat(9)}]`);
  const bomb = ["- type: a", "  payload:", "    - &a0 ha", ...laughs].join("\n");
  expect((await plan(home, bomb)).err).toContain("Excessive alias count");
  for (const deep of ["[", "- ", "{a: ", "? "])
    expect((await plan(home, `- type: a\n- ${deep.repeat(20_000)}`)).code).toBe(2);
  expect(await plan(home, `- type: a\n  payload: ${"[".repeat(97)}${"]".repeat(97)}\n`)).toMatchObject({ code: 0 });
  const long = `- type: a\n  payload: ${"x".repeat(10_485_760)}\n`;
  expect((await plan(home, long)).err).toMatch(/plan.yaml has 10485\d+ bytes; at most 10485760\.\n$/);
  const many = "- {type: a}\n".repeat(1_001);
  expect((await plan(home, many)).err).toContain("plan.yaml: tasks: at most 1000 of them.");
  expect(await plan(home, `- &t {type: a}\n${"- *t\n".repeat(999)}`)).toMatchObject({ code: 0 });
});

const job = `title: migrate the stores
text: |
  - rename the tables
  - then test it
files:
${Array.from({ length: 40 }, (_, n) => `  - path: m${n % 8}/f${n}.ts`).join("\n")}
`;

it("a complex job is estimated, and submitted as parts with their join", async () => {
  const home = aCliHome();
  write(home.project, { "job.yaml": job });
  const estimated = /^Complexity \d+ of 10 \(split above 8\): files 40 \(\+3\.0\)/;
  expect((await home.shim("task jobs estimate job.yaml")).out).toEqual(holding(estimated, "part-8"));
  const made = await home.json("task jobs submit job.yaml --type code --join-rule collect --tag t");
  const { task, parts } = made as OutputOf<"plans.submit">;
  expect(parts).toHaveLength(8);
  const join = { state: "blocked", joinRule: "collect", tags: ["t"], dependsOn: parts.map((part) => part.task) };
  expect(await home.json("task show", String(task))).toMatchObject(join);
  const tasks = parts.map((part) => ({ task: part.task, ref: part.name, type: "code", state: "queued" }));
  expect(await home.json("task list --parent", String(task))).toMatchObject({ tasks });
});

// 2023-11-14T22:13:20Z
function create(home: CliHome, options = "--name nightly --time-zone Europe/Berlin"): ReturnType<CliHome["shim"]> {
  return home.shim(`task schedules add --type build ${options}`, "0 3 * * *");
}

async function list(home: CliHome): Promise<OutputOf<"schedules.list">["schedules"]> {
  return ((await home.json("task schedules list")) as unknown as OutputOf<"schedules.list">).schedules;
}

it("a schedule is created with the options of a task, and its next three times are printed", async () => {
  const home = aCliHome();
  expect((await home.shim("task schedules list")).out).toBe("No schedules.\n");
  const options = '--payload {"x":1} --priority 7 --capability gpu --delay 30s --tag a --overlap submit';
  const created = await create(home, `--name nightly --time-zone Europe/Berlin ${options}`);
  expect(created).toMatchObject({
    code: 0,
    out: "Schedule nightly submits a task of type build, in the time of Europe/Berlin.\nNext: 2023-11-15 03:00, 2023-11-16 03:00, 2023-11-17 03:00\n",
  });
  expect(await list(home)).toMatchObject([{ overlap: "submit" }]);
  const task = { payload: { x: 1 }, priority: 7, capabilities: ["gpu"], dueInMs: 30_000, tags: ["a"] };
  home.coordinator().call("schedules.run", { name: "nightly" });
  expect(home.coordinator().call("tasks.get", { task: 1 })).toMatchObject({ ok: true, value: task });
  expect((await create(home, "--time-zone UTC --json")).json()).toMatchObject({
    schedule: { name: "build", timeZone: "UTC" },
    nextTimes: [3, 27, 51].map((hours) => Date.UTC(2023, 10, 15, hours)),
  });
  const local = (await create(home, "--name local --json")).json() as OutputOf<"schedules.create">;
  expect(local.schedule.timeZone).toBe(new Intl.DateTimeFormat().resolvedOptions().timeZone);
});

it("a schedule is paused, resumed, run and deleted by its name", async () => {
  const home = aCliHome();
  await create(home);
  expect((await home.shim("task schedules pause nightly")).out).toBe("Schedule nightly is paused.\n");
  expect((await home.shim("task schedules list")).out).toMatch(/ paused +0 +-$/m);
  const resumed = await home.shim("task schedules resume nightly");
  expect(resumed.out).toBe("Schedule nightly is active; next: 2023-11-15 03:00 (Europe/Berlin).\n");
  expect((await home.shim("task schedules run nightly")).out).toBe("Task 1 is queued.\n");
  expect((await home.shim("task schedules delete nightly")).out).toBe("Schedule nightly is deleted; its tasks stay.\n");
  expect(await list(home)).toEqual([]);
  const verbs = ["pause", "resume", "run", "delete"];
  expect(await home.codes(...verbs.map((verb) => `task schedules ${verb} nightly`))).toEqual([3, 3, 3, 3]);
  expect((await create(home)).code).toBe(0);
  expect(await create(home)).toMatchObject(failed(1, "there is a schedule nightly already"));
});

it("what is no schedule is wrong usage, with the reason", async () => {
  const home = aCliHome();
  await home.misuses("task schedules add --type build", [
    [["0 0 3 * * *"], "no field for seconds"],
    [["0 25 * * *"], "hour"],
    [["0 3 * * *", "--time-zone", "Nowhere/City"], "there is no time zone"],
    [["0 3 * * *", "--overlap", "queue"], "skip, submit"],
    [["0 3 * * *", "--name", "a b"], "1 to 128"],
    [["0 3 * * *", "--payload", "{x"], "is not JSON"],
    [["0 3 * * *", "--depends-on", "1"], "unknown option"],
  ]);
  expect((await home.shim("task schedules add", "0 3 * * *")).code).toBe(2);
  expect(await list(home)).toEqual([]);
});
