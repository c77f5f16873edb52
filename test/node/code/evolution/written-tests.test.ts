import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as astGrep from "@ast-grep/napi";
import { expect, it, onTestFinished, vi } from "vitest";
import type { Io } from "#src/cli/io.ts";
import { defectMs, mutationsOf, readStryker } from "#src/code/evolution/mutations.ts";
import type { EvolveReport } from "#src/code/evolution/run.ts";
import { install } from "#harness/analysis/installed-tool.ts";
import { init, lines, result, writeFakeClaude, type Part } from "#harness/claude/fake-claude.ts";
import { expectClean } from "#harness/evolution/sample-project.ts";
import { aCliHome, failed, printed } from "#harness/machine/cli-home.ts";
import { git, makeRepository, temporaryFolder, write } from "#harness/machine/git-project.ts";
import { patience } from "#harness/machine/programs.ts";

it("defects are planted in operators, conditions and truth values of the program, and in nothing else", () => {
  const source = `type On = true;
// a < b, true
export const isSmall = (a: number): boolean => a < 3 && a !== 1;
const on: On = true, text = "a + b";
if (on) size++;
while (true) size -= on ? 1 : fallback ?? 2;
`;
  const planted = mutationsOf(astGrep, "src/a.ts", source);
  expect(planted.map(({ line, from, to }) => `${line}: ${from} -> ${to}`)).toEqual([
    "3: a < 3 && a !== 1 -> a < 3 || a !== 1",
    "3: a < 3 -> a <= 3",
    "3: a !== 1 -> a === 1",
    "4: true -> false",
    "5: on -> !(on)",
    "5: size++ -> size--",
    "6: true -> false",
    "6: size -= on ? 1 : fallback ?? 2 -> size += on ? 1 : fallback ?? 2",
    "6: on -> !(on)",
    "6: fallback ?? 2 -> fallback && 2",
  ]);
  expect(mutationsOf(astGrep, "a.js", "!a;").map(({ to }) => to)).toEqual(["a"]);
  expect(planted[1]?.source).toBe(source.replace("=> a < 3", "=> a <= 3"));
});

it("the tests of a defect have twice the time that they take without it, and 10 s, up to half an hour", () => {
  expect([50, 400_000, 1_790_000].map(defectMs)).toEqual([10_100, 810_000, 1_800_000]);
});

it("of a report of Stryker's those count that survived, or that no test reached", () => {
  const source = "const a = 1;\nconst b = a > 1;\n";
  const location = { start: { line: 2, column: 11 }, end: { line: 2, column: 16 } };
  const path = join(temporaryFolder(), "mutation.json");
  const mutants = ["Killed", "Survived", "NoCoverage", "Timeout"].map((status) => ({
    status,
    replacement: "a < 1",
    location,
  }));
  writeFileSync(path, JSON.stringify({ files: { "src/a.js": { mutants } } }));
  const read = readStryker(path, "src/a.js", source);
  const survivor = { file: "src/a.js", line: 2, from: "a > 1", to: "a < 1", source: source.replace("a > 1", "a < 1") };
  expect(read).toEqual({ ok: true, value: { survivors: [survivor, survivor], planted: 4, left: 0, by: "stryker" } });
});

const files = {
  ".gitignore": "node_modules\n",
  "package.json": "{}",
  "check.cjs": `for (const name of require("node:fs").readdirSync("src")) if (/test/.test(name)) require("./src/" + name);\n`,
  "src/limit.cjs": "exports.isFull = (count) => count >= 10;\nexports.isEmpty = (count) => count === 0;\n",
  "src/limit.test.cjs": 'const assert = require("node:assert");\nassert(require("./limit.cjs").isEmpty(0));\n',
};

/** A project in which no test holds the bound of `isFull`, and a Claude Code that writes these files. */
function aProject(...parts: readonly NonNullable<Part["files"]>[]) {
  const home = aCliHome();
  home.alive.add(process.pid);
  makeRepository(home.project, files);
  const done = lines(init(), result());
  const program = writeFakeClaude(
    home.folder,
    parts.map((written) => ({ text: done, files: written })),
  );
  write(home.folder, { "evolve.json": JSON.stringify({ claude: { program, env: ["HOME"] } }) });
  const { signal } = new AbortController();
  const run = (options: string, file = "src/limit.cjs", io: Partial<Io> = {}) =>
    home.shimWith(
      { interrupted: () => signal, ...io },
      `code tests ${file} --trust ${options} --tests`,
      "node check.cjs",
    );
  return Object.assign(home, { run, config: `--config ${join(home.folder, "evolve.json")}` });
}

const holds = 'const assert = require("node:assert");\nassert(require("./limit.cjs").isFull(10));\n';

it("a test is kept that fails with the defect and passes without; one that tells nothing, or changes code, is not", async () => {
  const idle = { "src/idle.test.cjs": "require('./limit.cjs').isFull(10);\n" };
  const home = aProject(idle);
  const what = "a test of src/limit.cjs:1, count >= 10 -> count > 10";
  const plan = await home.run("");
  const note = "1 of 2 defects that ast-grep planted in src/limit.cjs are held by no test.";
  expect(plan).toMatchObject(printed("1 change to try", `  1. ${what}`, note, "need a worker, which is not set up"));
  const first = (await home.run(`${home.config} --json`)).json() as unknown as EvolveReport;
  expect(first.tried).toMatchObject([{ what, outcome: "rejected", why: "the tests pass with the defect, too" }]);
  expectClean(home, 0);
  expect(await home.run(`${home.config} --dry-run`)).toMatchObject(printed("the judge has rejected them"));

  const bold = aProject({ "src/full.test.cjs": holds, "src/limit.cjs": "exports.isFull = (count) => count >= 10;\n" });
  const second = (await bold.run(`${bold.config} --json`)).json() as unknown as EvolveReport;
  expect(second.tried[0]).toMatchObject({ outcome: "rejected" });
  expect(second.tried[0]?.why).toContain("files of no concern were changed: src/limit.cjs");

  const good = aProject({ "src/full.test.cjs": holds });
  const third = (await good.run(`${good.config} --json`)).json() as unknown as EvolveReport;
  expect(third.tried).toMatchObject([{ what, outcome: "kept", method: "a worker" }]);
  expectClean(good, 1);
  expect(git(good.project, "show", `${third.tried[0]?.branch}:src/full.test.cjs`)).toBe(holds);
  git(good.project, "merge", "--quiet", third.tried[0]?.branch ?? "");
  expect((await good.run(`${good.config} --dry-run`)).out).toContain("0 changes to try");
});

it("a file that is none, of another language or in no package is wrong usage, and tests that fail before say nothing", async () => {
  const home = aProject();
  await home.misuses("code tests --trust", [
    ["src/none.cjs", "is no file of JavaScript or TypeScript"],
    [".gitignore", "is no file of JavaScript or TypeScript"],
  ]);
  write(home.project, { "check.cjs": "process.exit(1);\n" });
  git(home.project, "commit", "--quiet", "--all", "--message", "broken");
  expect(await home.run("--dry-run")).toMatchObject(failed(1, "the tests fail before any change"));
});

it("a file in which no defect can be planted is named as such", async () => {
  const home = aProject();
  write(home.project, { "src/limit.test.cjs": "", "src/limit.cjs": "exports.one = 1;\n" });
  git(home.project, "commit", "--quiet", "--all", "--message", "plain");
  expect(await home.run("--dry-run")).toMatchObject(printed("Note: ast-grep can plant no defect in src/limit.cjs."));
});

it("a file that is in no commit is named before any test runs, and a Stryker that writes no report says why", async () => {
  const home = aProject();
  write(home.project, { "check.cjs": "process.exit(1);\n" });
  git(home.project, "commit", "--quiet", "--all", "--message", "broken");
  write(home.project, { "src/new.cjs": files["src/limit.cjs"] });
  const why = /nothing was changed: src\/new\.cjs is not in the commit [0-9a-f]{12}\.\n/;
  expect(await home.run("", "src/new.cjs")).toMatchObject(failed(1, why));

  const broken = aProject();
  install(broken.project, "@stryker-mutator/core", 'console.error("no runner"); process.exit(1);', "stryker");
  const noReport = "nothing was changed: stryker: exit code 1: no runner.\n";
  expect(await broken.run("")).toMatchObject(failed(1, noReport));
  // What the project has committed is no report of this run.
  write(broken.project, { "reports/mutation/mutation.json": "{}" });
  git(broken.project, "add", "--all");
  git(broken.project, "commit", "--quiet", "--message", "an old report");
  expect(await broken.run("")).toMatchObject(failed(1, noReport));
});

it("a new test that runs out of time with the defect proves nothing, and is not kept", async () => {
  const marker = join(temporaryFolder(), "waits");
  const waits = `{ require("node:fs").writeFileSync(${JSON.stringify(marker)}, ""); setInterval(() => 0, 1_000); }`;
  const home = aProject({ "src/full.test.cjs": `if (!require("./limit.cjs").isFull(10)) ${waits}\n` });
  const timeouts: { readonly ms: number; readonly over: AbortController }[] = [];
  const timeout = vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const over = new AbortController();
    timeouts.push({ ms, over });
    return over.signal;
  });
  onTestFinished(() => timeout.mockRestore());
  const running = home.run(`${home.config} --json`);
  await vi.waitFor(() => expect(existsSync(marker)).toBe(true), patience);
  // Of those that began with the tests the shorter one is over.
  const [shorter] = timeouts.slice(-2).toSorted((a, b) => a.ms - b.ms);
  shorter?.over.abort();
  const { tried } = (await running).json() as unknown as EvolveReport;
  expect(tried).toMatchObject([{ outcome: "rejected", why: "the tests did not end with the defect" }]);
  expectClean(home, 0);
});

it("a new test that fails once with the defect and passes then is no proof, and what was left out of it is named", async () => {
  const marker = JSON.stringify(join(temporaryFolder(), "failed"));
  const flaky = `const fs = require("node:fs");
    if (require("./limit.cjs").isFull(10) || fs.existsSync(${marker})) return;
    fs.writeFileSync(${marker}, "");
    process.exit(1);\n`;
  const home = aProject({ "src/full.test.cjs": flaky });
  const { tried } = (await home.run(`${home.config} --json`)).json() as unknown as EvolveReport;
  const why = "the project's tests do not give the same answer twice";
  expect(tried).toMatchObject([{ outcome: "failed", why: expect.stringContaining(why) as string }]);
  expectClean(home, 0);
});

it("files that a change left out of its commit are named with it: secrets, and what git ignores", async () => {
  const home = aProject({ "src/full.test.cjs": holds, ".env": "A=1\n", "seen.log": "x\n" });
  write(home.project, { ".gitignore": "node_modules\n*.log\n" });
  git(home.project, "commit", "--quiet", "--all", "--message", "logs");
  const run = await home.run(home.config);
  expect(run.out).toContain("not in it: .env (its name suggests that it holds a secret), seen.log (git ignores it)\n");
  expectClean(home, 1);
});

it("each defect is named as it is planted, and half of the run's time ends the planting", async () => {
  const home = aProject({ "src/full.test.cjs": holds });
  const said: string[] = [];
  const stderr = (text: string): void => {
    said.push(text);
    if (text.includes("Defect 1 of 2: src/limit.cjs:1, count >= 10 -> count > 10")) home.now += 1_800_000;
  };
  const run = `${home.config} --time-limit 1h --json`;
  const first = (await home.run(run, "src/limit.cjs", { stderr })).json() as unknown as EvolveReport;
  const notes = [
    "1 of 1 defect that ast-grep planted in src/limit.cjs are held by no test.",
    "1 more were not planted: half of the run's time is over.",
  ];
  expect(first.facts.notes).toEqual(expect.arrayContaining(notes));
  expect(first).toMatchObject({ stopped: null, tried: [{ outcome: "kept" }] });
  expect(said.join("")).not.toContain("Defect 2");
});
