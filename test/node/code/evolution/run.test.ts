import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { fakeOxlint, install } from "#harness/analysis/installed-tool.ts";
import { expectClean } from "#harness/evolution/sample-project.ts";
import { aCliHome, failed, holding, type Ran } from "#harness/machine/cli-home.ts";
import { git, makeRepository, write } from "#harness/machine/git-project.ts";
import { patience } from "#harness/machine/programs.ts";
import type { Io } from "#src/cli/io.ts";
import type { Plan } from "#src/code/evolution/plan.ts";
import { isTestFile } from "#src/code/evolution/measure.ts";
import type { EvolveReport } from "#src/code/evolution/run.ts";

/** Its tests need what is in `b.js`, and no linter mends `e.js`. */
const files = {
  ".gitignore": "node_modules\n",
  "package.json": "{}",
  "check.js": 'if (!require("node:fs").readFileSync("src/b.js", "utf8").includes("debugger")) process.exit(1);\n',
  "src/a.js": "debugger;\na();\ndebugger;\n",
  "src/b.js": "debugger;\n",
  "src/c.js": "debugger;\n\n\n\nexport const one = 1;\nexport const two = 2;\nexport const three = 3;\n",
  "src/d.js": "debugger;\nd();\n",
  "src/e.js": "debugger; // by hand\n",
};

/** Nobody uses what `c.js` exports; with --fix it is exported no more. */
const fakeKnip = `
const fs = require("node:fs");
const text = fs.readFileSync("src/c.js", "utf8");
if (process.argv.includes("--fix")) fs.writeFileSync("src/c.js", text.replace(/^export /gm, ""));
const lines = text.split("\\n");
const names = lines.flatMap((text) => /^export const (\\w+)/.exec(text)?.[1] ?? []);
const unused = names.map((name) => ({ name, line: 1, col: 1 }));
console.log(JSON.stringify({ issues: [{ file: "src/c.js", exports: unused }] }));
`;

function anEvolvedHome() {
  const home = aCliHome();
  home.alive.add(process.pid);
  makeRepository(home.project, files);
  for (const name of ["a", "c"]) chmodSync(join(home.project, `src/${name}.js`), 0o755);
  git(home.project, "commit", "--quiet", "--all", "--amend", "--no-edit");
  install(home.project, "oxlint", fakeOxlint);
  install(home.project, "knip", fakeKnip);
  const { signal } = new AbortController();
  const evolve = (options: string, io: Partial<Io> = {}, tests = "node check.js"): Promise<Ran> =>
    home.shimWith({ interrupted: () => signal, ...io }, `code evolve --trust ${options} --tests`, tests);
  const planned = async (options = ""): Promise<string[]> => {
    const plan = (await evolve(`--dry-run --json ${options}`)).json() as unknown as Plan;
    return plan.candidates.flatMap((one) => one.files);
  };
  return Object.assign(home, { evolve, planned });
}

it("a run keeps what the tests approve on branches; what the judge has rejected, and what has a branch, is not tried again", async () => {
  const home = anEvolvedHome();
  expect(await home.shim("code evolve")).toMatchObject(failed(1, "--trust"));
  write(home.folder, { "w.yaml": "testing: npm test\n", "wrong.yaml": "types: [\n" });
  await home.misuses("code evolve --trust --config", [
    ["../w.yaml", /w\.yaml: .*testing/],
    ["../wrong.yaml", /line \d/],
  ]);
  const report = (await home.evolve("--max-tasks 4 --json")).json() as unknown as EvolveReport;
  expect(report.tried.map(({ outcome, what }) => `${outcome} ${what}`)).toEqual([
    "kept 2 × oxlint eslint(no-debugger) in src/a.js",
    "kept 3 × knip exports in src/c.js",
    "rejected oxlint eslint(no-debugger) in src/b.js:1",
    "kept oxlint eslint(no-debugger) in src/c.js:1",
  ]);
  expect(report).toMatchObject({ stopped: null, findings: { before: 9, afterAllKept: 3 } });
  expect(report.tried[2]?.why).toContain("the tests fail: node check.js ended with exit code 1");
  const notes = ["1 need a worker, which is not set up.", "1 more are worth a change than this run may try."];
  expect(report.facts.notes).toEqual(expect.arrayContaining(notes));
  expectClean(home, 3);
  expect(await home.planned()).toEqual(["src/d.js"]);
  expect(await home.planned("--retry")).toEqual(["src/b.js", "src/d.js"]);
  const branches = report.tried.flatMap(({ branch }) => branch ?? []);
  // A program stays one.
  const changes = branches.map((branch) => git(home.project, "show", "--format=", "--numstat", "--summary", branch));
  expect(changes).toEqual(["0\t2\tsrc/a.js\n", "3\t3\tsrc/c.js\n", "0\t1\tsrc/c.js\n"]);
  // Each begins with those before it, and the last one has all.
  const [first = "", second = "", last = ""] = branches;
  expect(git(home.project, "diff", "--name-only", "HEAD", last)).toBe("src/a.js\nsrc/c.js\n");
  git(home.project, "cherry-pick", second);
  git(home.project, "branch", "--quiet", "-D", first);
  expect(await home.planned()).toEqual(["src/a.js", "src/d.js"]);
});

it("Ctrl-C ends a run, also while it judges, and leaves what it has kept; its time ends it", async () => {
  const home = anEvolvedHome();
  // Once the second change is made, its tests wait.
  const judging = join(home.folder, "judging");
  const isChanged = 'if (!fs.readFileSync("src/c.js", "utf8").includes("export"))';
  const waits = `{ fs.writeFileSync(${JSON.stringify(judging)}, ""); setInterval(() => 0, 1_000); }`;
  write(home.folder, { "waits.cjs": `const fs = require("node:fs"); ${isChanged} ${waits}` });
  const stop = new AbortController();
  const tests = `node ${join(home.folder, "waits.cjs")}`;
  const limits = "--time-limit 1h --budget-cost 2.5";
  const stopped = home.evolve(limits, { interrupted: () => stop.signal }, tests);
  await vi.waitFor(() => expect(existsSync(judging)).toBe(true), patience);
  stop.abort();
  const text = holding("The run has ended, since a person stopped it. 2 changes tried, 1 kept, 0 rejected.");
  expect(await stopped).toMatchObject({ code: 130, out: text, err: holding("$2.50") });
  expectClean(home, 1);
  const stderr = (text: string): void => void (text.includes("Change 2: oxlint") && (home.now += 3_600_001));
  const report = (await home.evolve("--time-limit 1h --json", { stderr })).json() as unknown as EvolveReport;
  expect(report).toMatchObject({ stopped: "its time of 3600 s is over" });
  expect(report.tried.map(({ outcome }) => outcome)).toEqual(["kept", "rejected"]);
  expectClean(home, 2);
});

it("a file is one of tests by its name or folder, as the runners find them", () => {
  const tests = [
    "test.js",
    "test-pool.js",
    "src/a.test.ts",
    "src/a_spec.mjs",
    "test/a.js",
    "src/__tests__/a.tsx",
    "spec.cjs",
  ];
  expect(tests.filter(isTestFile)).toEqual(tests);
  expect(["src/contest.js", "src/latest.ts", "test.d.ts", "index.test-d.ts", "testing.js"].filter(isTestFile)).toEqual(
    [],
  );
});

it("tests that are flaky, or fail before any change, end a run", async () => {
  const home = anEvolvedHome();
  const once = `require("node:fs").mkdirSync(${JSON.stringify(join(home.folder, "ran"))});`;
  write(home.folder, { "once.cjs": once });
  const tests = `node ${join(home.folder, "once.cjs")}`;
  expect(await home.evolve("", {}, tests)).toMatchObject(
    failed(1, "the project's tests do not give the same answer twice", "EEXIST"),
  );
  expect(await home.evolve("", {}, tests)).toMatchObject(failed(1, "the tests fail before any change"));
  write(home.folder, { "none.cjs": 'console.log("# tests 0\\n# pass 0");' });
  const none = await home.evolve("", {}, `node ${join(home.folder, "none.cjs")}`);
  expect(none).toMatchObject(failed(1, "none.cjs ran no tests"));
  expectClean(home, 0);
});

/** Tests that pass twice before any change, and then end with these codes, one run after the other. */
function testsThatEnd(home: ReturnType<typeof anEvolvedHome>, codes: readonly number[]): string {
  const ran = JSON.stringify(join(home.folder, "ran"));
  const ends = `const fs = require("node:fs"); fs.appendFileSync(${ran}, "x");
    const codes = ${JSON.stringify([0, 0, ...codes])};
    process.exitCode = codes[fs.readFileSync(${ran}, "utf8").length - 1] ?? 0;`;
  write(home.folder, { "ends.cjs": ends });
  return `node ${join(home.folder, "ends.cjs")}`;
}

it("a failure that does not come again, or comes without the change, too, decides nothing", async () => {
  const twice = "the project's tests do not give the same answer twice";
  const ends = [
    { codes: [1, 0], outcome: "failed", why: twice },
    { codes: [1, 1, 1], outcome: "failed", why: twice },
    { codes: [1, 1, 0], outcome: "rejected", why: "the tests fail" },
  ];
  for (const { codes, outcome, why } of ends) {
    const home = anEvolvedHome();
    const run = await home.evolve("--max-tasks 1 --json", {}, testsThatEnd(home, codes));
    const { tried } = run.json() as unknown as EvolveReport;
    expect(tried[0]?.outcome, String(codes)).toBe(outcome);
    expect(tried[0]?.why).toContain(why);
    expectClean(home, 0);
    // What was not decided is tried again.
    expect((await home.planned()).includes("src/a.js")).toBe(outcome === "failed");
  }
});

/** Declares how many lines `a.js` has, beside what never changes and what is no declaration. */
const fakeTsc = `
const fs = require("node:fs");
const at = process.argv.indexOf("--outDir");
const folder = process.argv[at + 1] + "/src";
const lines = fs.readFileSync("src/a.js", "utf8").split("\\n").length;
const text = ["export declare const a: 1;", "/** " + lines, " * lines. */", "export declare const lines:", "  " + lines + ";"];
if (at > 0) {
  fs.mkdirSync(folder);
  fs.writeFileSync(folder + "/a.d.ts", [...text, "// " + lines, "import " + lines, "export {};"].join("\\n"));
  fs.writeFileSync(folder + "/a.js", "export " + lines);
}
`;

it("a change of the public API is rejected, but where it is allowed", async () => {
  const home = anEvolvedHome();
  install(home.project, "typescript", fakeTsc, "tsc");
  write(home.project, { "tsconfig.json": "{}" });
  git(home.project, "add", ".");
  git(home.project, "commit", "--quiet", "--message", "a compiler");
  const base = git(home.project, "rev-parse", "HEAD").trim();
  const rejected = (await home.evolve("--max-tasks 1 --json")).json();
  const why = "the public API changes: export declare const lines: 4;";
  const facts = { base, findings: 9, tools: ["tsc", "oxlint", "complexity", "knip"] };
  expect(rejected).toMatchObject({ facts, stopped: null, tried: [{ change: 1, outcome: "rejected", why }] });
  expectClean(home, 0);
  const kept = (await home.evolve("--max-tasks 1 --retry --allow-api --json")).json();
  expect(kept).toMatchObject({ tried: [{ change: 1, outcome: "kept" }] });
  expectClean(home, 1);
});
