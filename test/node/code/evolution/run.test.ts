import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { fakeOxlint, install } from "#harness/analysis/installed-tool.ts";
import { expectClean } from "#harness/evolution/sample-project.ts";
import { aCliHome, failed, holding, printed, type Ran } from "#harness/machine/cli-home.ts";
import { git, makeRepository, write } from "#harness/machine/git-project.ts";
import { patience } from "#harness/machine/programs.ts";
import type { Io } from "#src/cli/io.ts";
import type { Plan } from "#src/code/evolution/plan.ts";
import type { EvolveReport } from "#src/code/evolution/run.ts";

/** Its tests need what is in `b.js`, and no linter mends `e.js`. */
const files = {
  ".gitignore": "node_modules\n",
  "package.json": "{}",
  "check.js": 'if (!require("node:fs").readFileSync("src/b.js", "utf8").includes("debugger")) process.exit(1);\n',
  "src/a.js": "debugger;\na();\ndebugger;\n",
  "src/b.js": "debugger;\n",
  "src/c.js": "debugger;\nexport const one = 1;\nexport const two = 2;\nexport const three = 3;\n",
  "src/d.js": "debugger;\nd();\n",
  "src/e.js": "debugger; // by hand\n",
};

/** Nobody uses what `c.js` exports. */
const fakeKnip = `
const lines = require("node:fs").readFileSync("src/c.js", "utf8").split("\\n");
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

it("a run keeps what the tests approve; what the judge or a person has rejected is not tried again", async () => {
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
  expect(report).toMatchObject({ isEnded: true, stopped: null, findings: { before: 9, afterAllKept: 3 } });
  expect(report.tried[2]?.why).toContain("the tests fail: node check.js ended with exit code 1");
  const notes = ["1 need a worker, which is not set up.", "1 more are worth a change than this run may try."];
  expect(report.facts?.notes).toEqual(expect.arrayContaining(notes));
  expectClean(home, 3);
  expect(await home.planned()).toEqual(["src/d.js"]);
  // A program stays one.
  const changes = [0, 1].map((at) =>
    git(home.project, "diff", "--numstat", "--summary", "HEAD", String(report.tried[at]?.branch)),
  );
  expect(changes).toEqual(["0\t2\tsrc/a.js\n", "0\t3\tsrc/c.js\n"]);
  const review = (at: number, options: string): Promise<Ran> =>
    home.shim(`code evolve review ${options} ${report.tried[at]?.change}`);
  expect(await home.shim("code evolve review --accept 1 --reject 1")).toMatchObject(failed(2, "not both"));
  const listed =
    /^CHANGE +BRANCH +WHAT +JUDGE\n(?:\d+ .* [69] findings before, [675] now, the tests pass\n){3}`git diff/;
  expect(await home.shim("code evolve review")).toMatchObject(printed(listed));
  expect(await review(1, "--reject")).toMatchObject(failed(2, "--reason"));
  const asked = (...answers: (string | null)[]): Promise<Ran> => {
    const ask = async (): Promise<string | null> => answers.shift() ?? null;
    return home.shimWith({ isInteractive: true, ask }, "code evolve review");
  };
  const first =
    "Change 1: 2 × oxlint eslint(no-debugger) in src/a.js\n9 findings before, 7 now, the tests pass\n\n src/a.js | 2 --\n";
  const accepted = printed(first, "is deleted.\nChange 2: ", /1 change decided, 2 left\.\n$/);
  expect(await asked("Accept", "r", " ", "quit")).toMatchObject(accepted);
  const refused =
    "change 4 began with the work of change 2, which was rejected. Reject it, or merge by hand.\n1 change decided";
  const rejected = printed(
    "Change 2 is rejected, and will not be proposed again. Its branch is left: git branch -D",
    refused,
  );
  expect(await asked("r", "no", "a")).toMatchObject(rejected);
  expect(await asked(null)).toMatchObject(printed(/0 changes decided, 1 left\.\n$/));
  expect(await review(3, "--accept")).toMatchObject(failed(1, "began with the work of change"));
  expect(await review(3, "--reason no --reject")).toMatchObject({ code: 0 });
  expect(await home.json("code evolve review")).toEqual({ offered: [] });
  expect(await home.planned("--retry")).toEqual(["src/b.js", "src/d.js"]);
});

it("Ctrl-C leaves a run, also while it judges, which the next command continues; its time and a person end it", async () => {
  const home = anEvolvedHome();
  expect(await home.shim("code evolve report")).toMatchObject(failed(3, "there is no run"));
  const begin = async (): Promise<void> => {
    const stop = new AbortController();
    const stderr = (text: string): void => (text.includes("$2.50") ? stop.abort() : undefined);
    const ran = await home.evolve("--time-limit 1h --budget-cost 2.5", { stderr, interrupted: () => stop.signal });
    expect(ran).toMatchObject({ code: 130, out: holding("is not finished") });
  };
  // Once the first change is made, its tests wait.
  const judging = join(home.folder, "judging");
  const isChanged = 'if (!fs.readFileSync("src/a.js", "utf8").includes("debugger"))';
  const waits = `{ fs.writeFileSync(${JSON.stringify(judging)}, ""); setInterval(() => 0, 1_000); }`;
  write(home.folder, { "waits.cjs": `const fs = require("node:fs"); ${isChanged} ${waits}` });
  const stop = new AbortController();
  const tests = `node ${join(home.folder, "waits.cjs")}`;
  const stopped = home.evolve("--time-limit 1h", { interrupted: () => stop.signal }, tests);
  await vi.waitFor(() => expect(existsSync(judging)).toBe(true), patience);
  stop.abort();
  expect(await stopped).toMatchObject({ code: 130, out: holding("is not finished") });
  home.now += 3_600_000;
  const report = (await home.evolve("--json")).json() as unknown as EvolveReport;
  expect(report).toMatchObject({ isEnded: true, stopped: "its time of 3600 s is over" });
  expect(report.tried.map(({ outcome }) => outcome)).toEqual(["stopped", "stopped", "stopped", "stopped", "stopped"]);
  expect((await home.planned())[0]).toBe("src/a.js");
  await begin();
  expect(await home.shim("code evolve stop")).toMatchObject(printed("what was open is not tried"));
  expect(await home.shim("code evolve report")).toMatchObject(printed("has ended, since a person stopped the run"));
  expectClean(home, 0);
});

it("tests that are flaky, or fail before any change, end a run", async () => {
  const home = anEvolvedHome();
  const once = `require("node:fs").mkdirSync(${JSON.stringify(join(home.folder, "ran"))});`;
  write(home.folder, { "once.cjs": once });
  const tests = `node ${join(home.folder, "once.cjs")}`;
  expect(await home.evolve("", {}, tests)).toMatchObject(failed(1, "the tests are flaky", "EEXIST"));
  expect(await home.evolve("", {}, tests)).toMatchObject(failed(1, "the tests fail before any change"));
  expectClean(home, 0);
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
  expect(rejected).toMatchObject({ run: 1, facts, isEnded: true, tried: [{ change: 1, outcome: "rejected", why }] });
  expectClean(home, 0);
  const kept = (await home.evolve("--max-tasks 1 --retry --allow-api --json")).json();
  expect(kept).toMatchObject({ run: 2, tried: [{ change: 2, outcome: "kept" }] });
  expectClean(home, 1);
});

it("two commands do not work on a project at once", async () => {
  const home = anEvolvedHome();
  let other: Promise<Ran> | undefined;
  const stderr = (text: string): void => void (other ??= text.includes("Plan for") ? home.evolve("") : undefined);
  expect(await home.evolve("--max-tasks 1", { stderr })).toMatchObject({ code: 0 });
  expect(await other).toMatchObject(failed(1, "at work in this project"));
});
