import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { aCliHome, failed, holding, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";
import { submitPlan } from "#harness/worker/cli-worker.ts";

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

it("the plan of the documentation is submitted unchanged", async () => {
  const home = aCliHome();
  const docs = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "reference", "cli.md"), "utf8");
  const [, example = ""] = /```yaml\n([\s\S]*?)```/.exec(docs) ?? [];
  const rows = /^TASK .*\n\d+ +parser +refactor +queued\n\d+ +lexer +refactor +queued\n\d+ +test +test +blocked\n$/;
  expect(await plan(home, example)).toMatchObject({ ...printed(rows), err: "" });
  const [parser, lexer, test] = await shown(home);
  const place = { repository: "shop", branch: "main" };
  expect(parser).toMatchObject({ payload: place, priority: 8, capabilities: ["git"] });
  expect(lexer).toMatchObject({ payload: place, priority: 5 });
  const note = "Both parts are in when this begins.\nTheir results come along with the claim.\n";
  const dependsOn = [parser?.["task"], lexer?.["task"]];
  expect(test).toMatchObject({ dependsOn, maxAttempts: 5, payload: { command: ["npm", "test"], note } });
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

const graph = [
  { ref: "api", type: "build" },
  { ref: "db", type: "build" },
  { ref: "tests", type: "test", dependsOn: ["api", "db"] },
  { ref: "docs", type: "write", dependsOn: ["tests", "api"] },
  { ref: "alone", type: "lint" },
];

it("the tree of a task has what it waits for with states, and what several wait for once in full", async () => {
  const home = aCliHome();
  await submitPlan(home, graph);
  expect(await home.shim("task tree 4")).toMatchObject({
    code: 0,
    out: `4 write (docs): blocked
├─ 1 build (api): queued
└─ 3 test (tests): blocked
   ├─ 1 build (api): queued
   └─ 2 build (db): queued
`,
  });
  const all = await home.json("task tree");
  expect(all).toMatchObject({ roots: [4, 5], isMore: false });
  expect(all["tasks"]).toContainEqual(expect.objectContaining({ task: 3, state: "blocked", dependsOn: [1, 2] }));
});

it("parts of a job are below it, and what two wait for is drawn in full only once", async () => {
  const home = aCliHome();
  const shared = [
    { ref: "base", type: "build" },
    { ref: "mid", type: "build", dependsOn: ["base"] },
    { ref: "left", type: "test", dependsOn: ["mid"] },
    { ref: "right", type: "test", dependsOn: ["mid"] },
    { ref: "top", type: "ship", dependsOn: ["left", "right"] },
    { ref: "part", type: "ship", parent: "top" },
  ];
  await submitPlan(home, shared);
  expect((await home.shim("task tree")).out).toBe(`5 ship (top): blocked
├─ 3 test (left): blocked
│  └─ 2 build (mid): blocked
│     └─ 1 build (base): queued
├─ 4 test (right): blocked
│  └─ 2 build (mid): blocked (see above)
└─ 6 ship (part): queued
`);
});

it("no open task, one that is not there and one that is no number are said", async () => {
  const home = aCliHome();
  expect((await home.shim("task tree")).out).toMatch(/^No task is open/);
  expect(await home.codes("task tree 9", "task tree x")).toEqual([3, 2]);
});

it("of more open tasks than are shown the rest is left out, and it is said", async () => {
  const home = aCliHome();
  for (const count of [600, 401])
    await submitPlan(
      home,
      Array.from({ length: count }, () => ({ type: "build" })),
    );
  const lines = (await home.shim("task tree")).out.trimEnd().split("\n");
  expect(lines).toHaveLength(1_001);
  expect(lines.slice(0, -1).every((line) => line.endsWith(" build: queued"))).toBe(true);
  expect(lines.at(-1)).toBe("There are more than 1000 tasks; the rest is left out.");
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

it("a simple one is one task; where it is asked for it is split; the same key is the same job", async () => {
  const home = aCliHome();
  write(home.project, { "job.json": JSON.stringify({ title: "a typing error", files: [{ path: "a.md" }] }) });
  const one = await home.shim("task jobs submit job.json --type docs --dedupe-key k");
  expect(one.out).toEqual(holding("Complexity 1 of 10", "one task"));
  expect((await home.shim("task jobs submit job.json --type docs --dedupe-key k")).out).toContain("key already");
  const split = await home.shim("task jobs submit job.json --type docs --split --by phase --join-type review");
  expect(split.out).toContain("it joins 4 parts (analyse");
});

it("an error in the file is reported with its line, and wrong options are not sent", async () => {
  const home = aCliHome();
  for (const [text, options, why] of [
    ["title: a\nfiles:\n  - path: ../b\n", "", "line 3: files.0.path: a path is relative"],
    ["title: a\ncolour: red\n", "", "line 2: no such field"],
    ["- a\n", "", "job.yaml holds no job."],
    ["text: a\n", "", "title: is missing"],
    ["title: a\n", "--max-parts 9", "maxParts: at most 8"],
    ["title: a\n", "--split --by file", "two or more are needed"],
  ] as const) {
    write(home.project, { "job.yaml": text });
    await home.misuses("task jobs submit job.yaml --type x", [[options, why]]);
  }
});
