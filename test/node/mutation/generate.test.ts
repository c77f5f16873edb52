import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { astGrep, command, depsOf, fakeTests, mutantsOf } from "#harness/mutation/fake-tests.ts";
import { projectFolder } from "#harness/mutation/tiny-project.ts";
import type { Framework, FrameworkName } from "#src/mutation/framework.ts";
import { isStable, type RecordedCase, testText } from "#src/mutation/generate/characterise.ts";
import { greedyCover } from "#src/mutation/generate/cover.ts";
import { type JudgeRequest, judgeTests, withFile } from "#src/mutation/generate/judge.ts";
import { probeText, readResults } from "#src/mutation/generate/probe.ts";
import { splitTests } from "#src/mutation/generate/split-tests.ts";
import type { TestStyle } from "#src/mutation/generate/test-style.ts";
import { testTask } from "#src/mutation/generate/worker-task.ts";
import { defaultLimits } from "#src/mutation/run-mutants.ts";

function style(framework: FrameworkName, more: Partial<TestStyle> = {}): TestStyle {
  const common = { isModule: true, hasChai: false, hasGlobals: false, example: null, folder: "test" };
  return { framework, ...common, suffix: ".test.js", specifier: "../src/a.js", quote: '"', ...more };
}

const recorded: RecordedCase[] = [
  { name: "f", call: ["1"], result: { kind: "returned", value: "[2]", isPromise: false } },
  { name: "f", call: ["2"], result: { kind: "returned", value: "NaN", isPromise: true } },
  { name: "default", call: [], result: { kind: "threw", name: "RangeError", message: 'a "b"', isPromise: false } },
];
const rejected: RecordedCase = {
  name: "f",
  call: [],
  result: { kind: "threw", name: "Error", message: "", isPromise: true },
};

it("[MU27] a generated file says what it is, and asserts in the framework's way", () => {
  const vitest = testText(style("vitest"), [...recorded, rejected]);
  expect(vitest).toMatch(
    /^\/\/ Characterisation tests: they record what the code did when they were made, right or wrong\./,
  );
  expect(vitest).toContain('import { expect, test } from "vitest";\nimport * as subject from "../src/a.js";');
  expect(vitest).toContain('test("f(1) gives [2]", () => {\n  expect(subject.f(1)).toStrictEqual([2]);\n});');
  expect(vitest).toContain("async () => {\n  expect(await subject.f(2)).toBe(NaN);\n}");
  expect(vitest).toContain(String.raw`expect(() => subject.default()).toThrow("a \"b\"");`);
  expect(vitest).toContain("await expect(subject.f()).rejects.toThrow();");
  const node = testText(style("node:test", { isModule: false, quote: "'" }), [...recorded, rejected]);
  expect(node).toContain("const { test } = require('node:test');\nconst assert = require('node:assert/strict');");
  expect(node).toContain("assert.deepEqual(subject.f(1), [2]);");
  expect(node).toContain("await assert.rejects(async () => subject.f()");
  const chai = testText(style("mocha", { hasChai: true }), recorded);
  expect(chai).toContain('it("f(1) gives [2]", () => {\n  expect(subject.f(1)).to.deep.equal([2]);');
  expect(chai).toContain(String.raw`.to.throw("a \"b\"");`);
  expect(testText(style("mocha"), recorded)).toContain("assert.throws(() => subject.default()");
  expect(testText(style("jest"), recorded)).toContain('from "@jest/globals"');
  expect(testText(style("jest", { hasGlobals: true }), recorded)).not.toContain("globals");
});

it("[MU27] equal titles are numbered, and a whole CommonJS module is called by itself", () => {
  const whole = { ...recorded[0]!, name: "module.exports" };
  const text = testText(style("jest", { isModule: false }), [whole, whole]);
  expect(text).toContain('test("default(1) gives [2]", ');
  expect(text).toContain('test("default(1) gives [2] (2)", ');
  expect(text).toContain("expect(subject(1))");
  expect(testText(style("vitest"), [whole])).toContain("expect(subject.default(1))");
});

/** Runs a probe's text as a script whose module is `source`. */
async function probed(source: string, expressions: string[], isReversed = false): Promise<unknown[]> {
  const text = probeText(style("vitest", { specifier: "./subject.mjs" }), expressions, isReversed);
  const root = projectFolder({
    "subject.mjs": source,
    "node_modules/vitest/package.json": '{ "name": "vitest", "type": "module", "exports": "./index.js" }',
    "node_modules/vitest/index.js":
      "export const expect = 0; export let done; export const test = (_, f) => (done = f());",
    "probe.mjs": `${text}\nexport { done } from "vitest";`.replace('from "node:os"', 'from "./os.mjs"'),
    "os.mjs": "import { dirname } from 'node:path'; export const tmpdir = () => import.meta.dirname;",
  });
  await ((await import(join(root, "probe.mjs"))) as { done: Promise<void> }).done;
  return readResults(readFileSync(join(root, "shim-probe.jsonl"), "utf8"), expressions.length).map((result) =>
    result?.kind === "returned" ? result.value : result,
  );
}

it("[MU24] a probe writes plain data as literals, errors with name and message, and nothing else", async () => {
  const source = `
    export const plain = () => ({ a: [1, -0, NaN, null, undefined, "x\\n"], "b-c": 5n, d: {} });
    export const later = async () => 5;
    export class Own { x = 1 }
    export const cycle = () => { const a = []; a.push(a); return a; };`;
  const opaque = [
    "new subject.Own()",
    "new Map()",
    "() => 1",
    "subject.cycle()",
    "[,1]",
    '"x".repeat(999)',
    "/a/.exec('a')",
  ];
  const results = await probed(source, ["subject.plain()", "subject.later()", ...opaque, "subject.gone()"]);
  expect(results.slice(0, 2)).toEqual(['{ a: [1, -0, NaN, null, undefined, "x\\n"], "b-c": 5n, d: {} }', "5"]);
  expect(results.slice(2, -1)).toEqual(opaque.map(() => ({ kind: "opaque" })));
  expect(results.at(-1)).toMatchObject({ kind: "threw", name: "TypeError", isPromise: false });
});

it("[MU24] a second run calls in the opposite order, which shows state between calls", async () => {
  const source = "let n = 0; export const next = () => ++n;";
  expect(await probed(source, ["subject.next()", "subject.next()"])).toEqual(["1", "2"]);
  expect(await probed(source, ["subject.next()", "subject.next()"], true)).toEqual(["2", "1"]);
});

it("[MU24] a call without an end is seen in what the probe wrote before it was stopped", () => {
  const lines = ['{"index":0}', '{"index":0,"kind":"opaque"}', '{"index":2}', '{"ind'];
  expect(readResults(lines.join("\n"), 3)).toEqual([{ kind: "opaque" }, null, { kind: "hung" }]);
  expect(readResults("", 1)).toEqual([null]);
});

function value(text: string) {
  return { kind: "returned" as const, value: text, isPromise: false };
}

function threw(message: string) {
  return { kind: "threw" as const, name: "TypeError", message, isPromise: false };
}

function both(result: Parameters<typeof isStable>[0]): boolean {
  return isStable(result, result, "/home/project");
}

it("[MU24] only equal results of the code's own that do not name the folder are stable", () => {
  expect(both(value("1"))).toBe(true);
  expect(isStable(value("1"), value("2"), "/x")).toBe(false);
  expect(both(value('"/home/project/a"'))).toBe(false);
  expect(both(threw("Expected a string"))).toBe(true);
  expect(both(threw("Cannot read properties of undefined (reading 'x')"))).toBe(false);
  expect(both(threw("a.map is not a function"))).toBe(false);
  expect([both(null), both({ kind: "hung" }), both({ kind: "opaque" })]).toEqual([false, false, false]);
});

it("[MU25] few sets cover all members, the first of equal ones, none without a member of its own", () => {
  const sets = [[1], [1, 2, 3], [3, 4], [4], []].map((members) => new Set(members));
  expect(greedyCover(sets)).toEqual([1, 2]);
  expect(greedyCover([new Set(), new Set()])).toEqual([]);
});

const source = "export const f = (a, b) => a < b && b > 0;\n";
const survivors = mutantsOf("a.js", source);
const framework: Framework = {
  name: "node:test",
  all: command("all"),
  only: (files) => command("only", ...files),
  commandsFor: () => [command("all")],
};

/** Tests are lines; `kills x` fails where the source has x, `fails` always, `passes` never. */
function lineTests(root: string) {
  const { signal } = new AbortController();
  const request: JudgeRequest = { copies: [root], framework, survivors, limits: defaultLimits, signal };
  const { runTests, runs } = fakeTests("a.js", (text) => {
    const lines = readFileSync(join(root, "new.test.js"), "utf8").trim().split("\n");
    const isRed = lines.some((line) => line === "fails" || (line.startsWith("kills ") && text.includes(line.slice(6))));
    return isRed ? "failed" : "passed";
  });
  const judge = (lines: string[], kills?: Set<(typeof survivors)[number]>[]) => {
    const render = (kept: readonly number[]): string => `${kept.map((index) => lines[index]).join("\n")}\n`;
    return judgeTests(depsOf(runTests), request, { path: "new.test.js", count: lines.length, render }, kills);
  };
  return { judge, runs };
}

it("[MU25] tests that fail on the present code or kill nothing are dropped, and of the others few stay", async () => {
  const root = projectFolder({ "a.js": source });
  const { judge } = lineTests(root);
  const verdict = await judge(["passes", "kills <= b", "fails", "kills ||", "kills = b", "kills undefined"]);
  expect(verdict.kept).toMatchObject({ path: "new.test.js", tests: 3, text: "kills ||\nkills = b\nkills undefined\n" });
  const states = "results" in verdict ? verdict.results.map(({ status }) => status) : [];
  expect([states.length, states.filter((one) => one === "killed").length]).toEqual([6, 4]);
  expect(await judge(["passes", "passes"])).toMatchObject({ kept: null, reason: /kills/ });
  expect(await judge(["fails", "passes"])).toMatchObject({
    kept: null,
    reason: "no test kills a mutant that survived before",
  });
  expect(await judge(["fails"])).toMatchObject({ kept: null, reason: /fails without any mutant/ });
  expect(existsSync(join(root, "new.test.js"))).toBe(false);
});

it("[MU25] where it is known what each test kills, only the chosen ones run", async () => {
  const { judge, runs } = lineTests(projectFolder({ "a.js": source }));
  const [first] = survivors;
  const verdict = await judge(["passes", "kills ||"], [new Set(), new Set([first!])]);
  expect(verdict.kept?.text).toBe("kills ||\n");
  expect(runs).toHaveLength(2 + survivors.length);
  // A wrong expectation is found out, and each test is tried.
  const wrong = await judge(["passes", "kills ||"], [new Set([first!]), new Set()]);
  expect(wrong.kept?.text).toBe("kills ||\n");
});

it("[MU26] a proposal is in all copies while it is judged; folders made for it go, existing files stay", async () => {
  const [one, two] = [projectFolder({}), projectFolder({})];
  const seen = await withFile([one, two], "test/deep/a.js", "text", async () =>
    [one, two].map((folder) => readFileSync(join(folder, "test/deep/a.js"), "utf8")),
  );
  expect([seen, existsSync(join(one, "test")), existsSync(join(two, "test"))]).toEqual([
    ["text", "text"],
    false,
    false,
  ]);
  mkdirSync(join(two, "test"));
  writeFileSync(join(two, "test/a.js"), "theirs");
  await expect(withFile([one, two], "test/a.js", "text", async () => 1)).rejects.toThrow("EEXIST");
  expect([existsSync(join(one, "test")), readFileSync(join(two, "test/a.js"), "utf8")]).toEqual([false, "theirs"]);
});

it("[MU30] a worker's file is split into its tests; hooks and helpers stay", () => {
  const text = `import { it } from "vitest";
const help = () => it;
describe("a", () => {
  beforeEach(() => {});
  it("one", () => { test.step("inner"); });
  it.each([1])("two %s", () => {});
});
test.skip("three", () => {});
`;
  const tests = splitTests(astGrep, "a.test.ts", text);
  expect(tests.count).toBe(3);
  expect(tests.render([0, 1, 2])).toBe(text);
  expect(tests.render([1])).toBe(`import { it } from "vitest";
const help = () => it;
describe("a", () => {
  beforeEach(() => {});
  it.each([1])("two %s", () => {});
});
`);
});

it("[MU30] a worker's task has the mutants, the example and the one file to write, all bounded", () => {
  const long = { ...survivors[0]!, before: "x".repeat(999) };
  const many = Array.from({ length: 99 }, () => long);
  const options = { file: "a.js", write: "a.new.test.js", survivors: many };
  const project = { read: () => "e".repeat(9_999) };
  const task = testTask(project, style("vitest", { example: "b.test.js" }), options);
  expect(task).toMatchObject({ file: "a.js", write: "a.new.test.js", example: { file: "b.test.js" } });
  expect(task.mutants).toHaveLength(40);
  expect(JSON.stringify(task).length).toBeLessThan(20_000);
  expect(task.mutants[0]).toMatchObject({ line: 1, after: "a < b || b > 0" });
  expect(testTask(project, style("vitest"), options).example).toBeNull();
});
