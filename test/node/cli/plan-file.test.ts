import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { aCliHome, type CliHome } from "#harness/machine/cli-home.ts";

/** What the command says of a plan. */
async function plan(home: CliHome, text: string): Promise<{ code: number; out: string; err: string }> {
  writeFileSync(join(home.project, "plan.yaml"), text);
  return home.shim("task submit --graph plan.yaml");
}

async function shown(home: CliHome): Promise<Record<string, unknown>[]> {
  const { tasks } = (await home.json("task list")) as OutputOf<"tasks.list">;
  const all: Record<string, unknown>[] = [];
  for (const { task } of tasks) all.push(await home.json("task show", String(task)));
  return all;
}

it("[CL45] [CL50] the plan of the documentation is submitted as it stands there", async () => {
  const home = aCliHome();
  const docs = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "reference", "cli.md"), "utf8");
  const [, example = ""] = /```yaml\n([\s\S]*?)```/.exec(docs) ?? [];
  const ran = await plan(home, example);
  expect(ran).toMatchObject({ code: 0, err: "" });
  expect(ran.out).toMatch(
    /^TASK .*\n\d+ +parser +refactor +queued\n\d+ +lexer +refactor +queued\n\d+ +test +test +blocked\n$/,
  );
  const [parser, lexer, test] = await shown(home);
  const place = { repository: "shop", branch: "main" };
  expect(parser).toMatchObject({ payload: place, priority: 8, capabilities: ["git"] });
  expect(lexer).toMatchObject({ payload: place, priority: 5 });
  expect(test).toMatchObject({
    dependsOn: [parser?.["task"], lexer?.["task"]],
    maxAttempts: 5,
    payload: {
      command: ["npm", "test"],
      note: "Both parts are in when this begins.\nTheir results come along with the claim.\n",
    },
  });
});

it("[CL50] values are those of YAML 1.2 and JSON: no dates, no yes, and tabs as JSON has them", async () => {
  const home = aCliHome();
  const text = '[\n\t{"type": "t", "payload": {"day": "2026-11-20", "a\\u0020b": [1, 2.5e1, null, true]}}\n]';
  expect(await plan(home, text)).toMatchObject({ code: 0 });
  expect(await plan(home, "- type: on\n  payload: [2026-11-20, yes, 0x10, ~, .5]\n")).toMatchObject({ code: 0 });
  const [json, yaml] = await shown(home);
  expect(json?.["payload"]).toEqual({ day: "2026-11-20", "a b": [1, 25, null, true] });
  expect(yaml).toMatchObject({ type: "on", payload: ["2026-11-20", "yes", 16, null, 0.5] });
});

it("[CL50] what is wrong is told with its line, all of it at once, and nothing is submitted", async () => {
  const home = aCliHome();
  for (const [text, why] of [
    ["- type: a\n  ref: [b\n", "plan.yaml, line 3: Flow sequence in block collection"],
    ["- type: a\n  type: b\n", "plan.yaml, line 2: Map keys must be unique."],
    ["- type: a\n\tref: b\n", "plan.yaml, line 2: "],
    ["- type: a\n---\n- type: b\n", "line 2: Source contains multiple documents"],
    ["- type: a\n- type: b\n  payload: .inf\n", "line 3: Infinity is not a JSON value."],
    ["- type: a\n  payload: !!binary aGk=\n", "line 2: this is not a JSON value."],
    ["- type: a\n  payload: !!set {a}\n", "line 2: tag:yaml.org,2002:set is not a JSON type."],
    ["- type: a\n  payload: !mine b\n", "line 2: Unresolved tag: !mine."],
    ["- type: a\n  payload: {1: b}\n", "line 2: a field name is not a string"],
    ["- type: a\n  payload: *b\n", "line 2: *b is undefined: no &b comes before it."],
    ["- type: a\n  payload: &b\n    - *b\n", "line 3: *b refers to a node that contains it."],
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
    expect([text, refused.code, refused.err]).toEqual([text, 2, expect.stringContaining(why)]);
    expect(refused.err.trimEnd()).not.toContain("\n");
  }
  const circle = await plan(home, "- {type: a, ref: a, dependsOn: [b]}\n- {type: b, ref: b, dependsOn: [a]}\n");
  expect([circle.code, circle.err]).toEqual([2, expect.stringMatching(/\ba\b.*\bb\b/)]);
  expect((await home.shim("task list")).out).toBe("No tasks at this machine.\n");
});

it("[CL50] what would grow without bounds is refused at once: aliases of aliases, nesting, size", async () => {
  const home = aCliHome();
  const laughs = Array.from({ length: 9 }, (_, n) => `    - &a${n + 1} [${`*a${n}, `.repeat(9)}]`);
  const bomb = ["- type: a", "  payload:", "    - &a0 ha", ...laughs].join("\n");
  expect((await plan(home, bomb)).err).toContain("too large once its aliases are expanded: at most 10485760");
  for (const deep of ["[".repeat(1_000_000), "- ".repeat(100_000), "{a: ".repeat(100_000), "? ".repeat(100_000)]) {
    expect((await plan(home, `- type: a\n- ${deep}`)).err).toContain("line 2: nested more than 100 deep.");
  }
  expect(await plan(home, `- type: a\n  payload: ${"[".repeat(97)}${"]".repeat(97)}\n`)).toMatchObject({ code: 0 });
  const long = `- type: a\n  payload: ${"x".repeat(10_485_760)}\n`;
  expect((await plan(home, long)).err).toMatch(/plan.yaml has 10485\d+ bytes; at most 10485760\.\n$/);
  const many = `- &t {type: a}\n${"- *t\n".repeat(1_000)}`;
  expect((await plan(home, many)).err).toContain("plan.yaml: tasks: at most 1000 of them.");
  expect(await plan(home, `- &t {type: a}\n${"- *t\n".repeat(999)}`)).toMatchObject({ code: 0 });
});
