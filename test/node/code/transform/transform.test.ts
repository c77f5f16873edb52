import { existsSync, readFileSync, rmSync, symlinkSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it, vi } from "vitest";
import { patience } from "#harness/machine/programs.ts";
import type { Io } from "#src/cli/io.ts";
import { install } from "#harness/analysis/installed-tool.ts";
import { linkPackages } from "#harness/evolution/sample-project.ts";
import { aCliHome, type CliHome, failed, printed } from "#harness/machine/cli-home.ts";
import { commitAll, contents, git, leftIn, makeRepository, write } from "#harness/machine/git-project.ts";
import { processesIn } from "#harness/machine/process-tree.ts";

const varRule = `id: no-var
language: TypeScript
rule: { pattern: "var $A = $B" }
fix: "let $A = $B"
`;

const sources: Readonly<Record<string, string>> = {
  ".gitignore": "node_modules/\n",
  "package.json": JSON.stringify({ name: "small", type: "module", scripts: { test: "node check.js" } }),
  "src/a.ts": "export var a = 1;\nvar b = 2;\nconsole.log(a, b);\n",
  "src/ü b.ts": "import { a } from './a.ts';\r\nvar c: number = a;\r\nvar d = <number>c;\r\n",
  "check.js":
    'import { readFileSync } from "node:fs";\nif (!readFileSync("src/a.ts", "utf8").includes("console.log(")) process.exit(1);\n',
  "rules/no-var.yml": varRule,
};

function aTransformHome(files: Readonly<Record<string, string>> = {}) {
  const home = aCliHome();
  home.alive.add(process.pid);
  makeRepository(home.project, { ...sources, ...files });
  write(home.paths.home, { "config.json": JSON.stringify({ analysis: { trusted: [home.project] } }) });
  linkPackages(home.project, ["@ast-grep/cli", "oxlint"], ["ast-grep", "oxlint"]);
  const env = { ...home.runtime.env, PATH: `${dirname(process.execPath)}:/usr/bin:/bin` };
  Object.assign(home.runtime, { env });
  const io = { env, interrupted: () => new AbortController().signal };
  /** `shim code transform` with Node's folder on the path, and no Ctrl-C. */
  const transform = (command: string, overrides: Partial<Io> = {}): ReturnType<CliHome["shim"]> =>
    home.shimWith({ ...io, ...overrides }, `code transform ${command}`);
  return Object.assign(home, {
    transform,
    report: async (command: string) => (await transform(`--json ${command}`)).json(),
    refuses: async (command: string, ...why: Parameters<typeof failed>) =>
      expect([command, await transform(command)]).toMatchObject([command, failed(...why)]),
    prints: async (command: string, ...parts: Parameters<typeof printed>) =>
      expect([command, await transform(command)]).toMatchObject([command, printed(...parts)]),
    branches: () => leftIn(home.project, home.paths.home).branches,
    /** What a transform could leave behind, which is nothing but branches. */
    leftovers() {
      const { folders, worktrees } = leftIn(home.project, home.paths.home);
      return [...folders, ...worktrees];
    },
  });
}

type TransformHome = ReturnType<typeof aTransformHome>;

const command = "lint-fix src/a.ts --trust";

/** Its linter does something for each file that it is to mend. @param body returns the new text */
function withLinter(body: string, files: Readonly<Record<string, string>> = {}): TransformHome {
  const home = aTransformHome({ "eslint.config.js": "", ...files });
  rmSync(join(home.project, "node_modules", "oxlint"));
  const mend = `const mend = (source) => { ${body} };`;
  const loop = 'for (const file of process.argv.slice(2).filter((word) => word.endsWith(".ts")))';
  const write = 'fs.writeFileSync(file, mend(fs.readFileSync(file, "utf8")));';
  install(home.project, "eslint", `const fs = require("node:fs");\n${mend}\n${loop} ${write}`);
  return home;
}

const untested = "--branch --no-tests";

/** A file as it is on the branch that was left. */
function onBranch(home: TransformHome, report: Record<string, unknown>, path: string): string {
  return git(home.project, "show", `${String(report["branch"])}:${path}`);
}

/** Asking git for the state may write it. */
const isIndex = (path: string): boolean => path.endsWith("index");

it("a dry run shows diff and counts of a rule, and changes nothing but the store", async () => {
  const home = aTransformHome();
  const before = contents(home.project, isIndex);
  const ran = await home.transform("rules/no-var.yml");
  const diff = "-var b = 2;\n+export let a = 1\n+let b = 2\n";
  const note = "A second run changes nothing more. This was a dry run: --branch leaves a branch";
  expect(ran).toMatchObject(printed(diff, "src/ü b.ts", "2 files, 3 insertions, 3 deletions", note));
  expect(contents(home.project, isIndex)).toEqual(before);
  expect([home.leftovers(), home.branches()]).toEqual([[], []]);
});

it("each kind of transform reports the same facts @night", async () => {
  const home = aTransformHome({ ".oxlintrc.json": '{"rules":{"no-var":"error"}}' });
  const facts = { branch: null, commit: null, isIdempotent: true, tests: null, leftOut: [], uncommitted: 0 };
  const both = [{ path: "src/a.ts" }, { path: "src/ü b.ts" }];
  for (const [command, tool, files] of [
    ["rules", "ast-grep", both],
    ["lint-fix", "oxlint", both],
    ["lint-fix src/a.ts", "oxlint", both.slice(0, 1)],
  ] as const)
    expect(await home.report(command)).toMatchObject({ ...facts, tool, files });
});

it("a transform whose second run changes more says so, and leaves no branch", async () => {
  const more = 'id: more\nlanguage: TypeScript\nrule: { pattern: "console.log($$$A)" }\nfix: "console.log($$$A, 1)"\n';
  const home = aTransformHome({ "rules/more.yml": more });
  await home.prints("rules/more.yml", "A second run changes these files again.");
  expect(await home.report("rules/more.yml")).toMatchObject({ isIdempotent: false, branch: null, commit: null });
  await home.refuses(`rules/more.yml ${untested}`, 1, "a second run changes src/a.ts again.");
  expect([home.branches(), home.leftovers()]).toEqual([[], []]);
});

it("a branch is left once the project's tests pass, and nothing is merged; what tests write is not in it", async () => {
  const check = 'import { writeFileSync as put } from "node:fs"; put("src/a.ts", "broken"); put("new.txt", "");';
  const home = aTransformHome({ "check.js": check });
  const head = git(home.project, "rev-parse", "HEAD").trim();
  const report = await home.report("rules src/a.ts --branch --trust");
  expect(report).toMatchObject({ tests: { command: "npm test" }, base: head });
  const branch = String(report["branch"]);
  expect(home.branches()).toEqual([branch]);
  expect(git(home.project, "rev-parse", `${branch}~1`).trim()).toBe(head);
  expect(git(home.project, "rev-parse", "HEAD").trim()).toBe(head);
  expect(git(home.project, "diff", "--name-only", "HEAD", branch)).toBe("src/a.ts\n");
  expect(onBranch(home, report, "src/a.ts")).toBe("export let a = 1\nlet b = 2\nconsole.log(a, b);\n");
  expect([home.leftovers(), git(home.project, "status", "--porcelain")]).toEqual([[], ""]);
});

it("failing tests and no tests leave no branch", async () => {
  const breaks = varRule.replace("var $A = $B", "console.log(a, b)").replace(/fix:.*/, 'fix: "log"');
  const home = aTransformHome({ "rules/breaks.yml": breaks });
  const parts = ["npm test ended with exit code 1", "> node check.js", "\nNo branch was left."];
  await home.refuses("rules/breaks.yml --branch --trust", 1, ...parts);
  await home.refuses("rules/no-var.yml --branch --trust --tests no-such-program", 1, "no-such-program");
  await home.refuses("rules/no-var.yml --branch --trust --tests a|b", 2, "no shell parses");
  write(home.project, { "package.json": '{"scripts":{"test":"echo \\"Error: no test specified\\" && exit 1"}}' });
  commitAll(home.project, "no tests");
  const missing = "there is no script for tests in package.json";
  await home.refuses("rules/no-var.yml --branch --trust", 1, missing, "--no-tests");
  expect([home.branches(), home.leftovers()]).toEqual([[], []]);
});

it("a project that is not trusted is not changed: neither a tool nor a test of it runs", async () => {
  const home = withLinter('fs.writeFileSync("/dev/null", ""); return "let a = 1;";');
  write(home.paths.home, { "config.json": "{}" });
  await home.refuses("lint-fix src/a.ts", 1, `the tools and tests of ${home.project} are code`, "--trust");
  await home.prints("lint-fix src/a.ts --trust", "1 file");
});

it("what is not committed is not included, and said", async () => {
  const home = aTransformHome();
  write(home.project, { "src/a.ts": "var dirty = 1;\n", "src/new.ts": "var fresh = 1;\n" });
  const ran = await home.transform("rules");
  expect(ran).toMatchObject(printed("Not included: 2 paths of your tree with changes that are not committed."));
  expect(ran.out).not.toMatch(/dirty|fresh/);
  await home.refuses("rules src/new.ts", 2, "src/new.ts is not in the commit");
  write(home.project, { "large.yml": "#".repeat(1_048_577) });
  await home.refuses("large.yml", 2, "more than 1 MiB");
  await home.refuses("check.js", 2, "check.js is no rule of ast-grep (.yml)");
  await home.refuses("rules src ../other", 2, `${home.other} is not in ${home.project}.`);
  expect(readFileSync(join(home.project, "src/a.ts"), "utf8")).toBe("var dirty = 1;\n");
});

it("a new file with a secret is left out of the branch, and is not there for its tests; it is said", async () => {
  const key = ["AKIA", "IOSFODNN7", "QWERTYU"].join("");
  const mend = `fs.writeFileSync(".env", "AWS_ACCESS_KEY_ID=${key}"); return source.replace("var b", "let b");`;
  const check = 'import { existsSync } from "node:fs"; if (existsSync(".env")) process.exit(1);';
  const home = withLinter(mend, { "check.js": check });
  const ran = await home.transform(`${command} --branch`);
  expect(ran).toMatchObject(printed("Left out: .env", "1 file, 1 insertion, 1 deletion"));
  expect(existsSync(join(home.project, ".env"))).toBe(false);
});

function nothingLeft(home: TransformHome): void {
  expect([home.leftovers(), home.branches(), git(home.project, "status", "--porcelain")]).toEqual([[], [], ""]);
}

it("Ctrl-C ends a transform, and leaves nothing", async () => {
  const home = withLinter('fs.writeFileSync("begun", ""); for (;;);');
  const stop = new AbortController();
  const running = home.transform(`${command} --branch`, { interrupted: () => stop.signal });
  const work = join(home.paths.home, "work");
  const hasBegun = (): boolean => home.leftovers().some((name) => existsSync(join(work, name, "tree", "begun")));
  await vi.waitFor(() => expect(hasBegun()).toBe(true), patience);
  stop.abort();
  expect(await running).toMatchObject(failed(130, "the transform was stopped"));
  nothingLeft(home);
  expect([processesIn(work), git(home.project, "status", "--porcelain")]).toEqual([[], ""]);
});

it("a tool that deletes .git, replaces it by a repository with programs, or deletes everything does no harm @night", async () => {
  const mark = "mark";
  const replaced = `fs.rmSync(".git"); fs.mkdirSync(".git/objects", { recursive: true }); fs.mkdirSync(".git/refs");
fs.writeFileSync(".git/HEAD", "ref: refs/heads/main\\n");
fs.writeFileSync(".git/config", "[core]\\n fsmonitor = touch ${mark}\\n[diff]\\n external = touch ${mark}\\n");`;
  const removed = 'fs.rmSync(".git", { force: true });';
  const emptied = 'for (const name of fs.readdirSync(".")) fs.rmSync(name, { recursive: true });';
  const isWorktree = 'fs.existsSync(".git") && fs.statSync(".git").isFile()';
  for (const body of [removed, replaced, emptied]) {
    const home = withLinter(`if (${isWorktree}) { ${body} } return source.replace("var b", "let b");`);
    const ran = await home.transform(`${command} --branch --no-tests`);
    const isHarmless = ran.code === 0 || (ran.code === 1 && ran.err !== "");
    expect([isHarmless, ran.err.includes("a bug in SHIM")], ran.err).toEqual([true, false]);
    expect([home.leftovers(), git(home.project, "status", "--porcelain")]).toEqual([[], ""]);
    expect(existsSync(join(home.project, mark))).toBe(false);
    expect(git(home.project, "fsck")).toBe("");
  }
});

it("a configuration of ast-grep in the project loads no library of its own @night", async () => {
  const library = "customLanguages:\n  evil:\n    libraryPath: ./evil.so\n    extensions: [ts]\nruleDirs: [none]\n";
  const home = aTransformHome({ "sgconfig.yml": library, "evil.so": "no library" });
  await home.prints("rules", "2 files, 3 insertions");
});

it("the worktree of a transform whose process was killed is removed by the next one, and no other", async () => {
  const home = aTransformHome();
  const work = join(home.paths.home, "work");
  const repository = join(home.project, ".git");
  const killed = { boot: "boot-0", pid: 4_000_000, start: "s1" };
  const alive = { boot: "boot-1", pid: process.pid, start: `s${process.pid}` };
  const kept = { "task-7-00000bad": { task: 7, owner: killed }, "transform-000alive": { task: 0, owner: alive } };
  for (const [name, own] of Object.entries({ ...kept, "transform-0000dead": { task: 0, owner: killed } })) {
    const record = { repository, branch: `shim/${name}`, base: "HEAD", ...own };
    write(join(work, name), { "record.json": JSON.stringify(record) });
    git(home.project, "worktree", "add", "--quiet", "--detach", join(work, name, "tree"));
    write(join(work, name, "tree"), { "src/a.ts": "changed" });
  }
  await home.prints("rules", "2 files");
  const { folders, worktrees } = leftIn(home.project, home.paths.home);
  expect([folders.toSorted(), worktrees.length]).toEqual([Object.keys(kept), 2]);
});

it("a symbolic link in the repository leads no tool out of it, and is as before in the branch @night", async () => {
  const home = aTransformHome({ ".oxlintrc.json": '{"rules":{"no-var":"error"}}' });
  const stray = join(home.other, "stray.ts");
  writeFileSync(stray, "var stray = 1;\n");
  symlinkSync(stray, join(home.project, "src", "link.ts"));
  symlinkSync(home.other, join(home.project, "src", "folder"));
  symlinkSync(join(home.other, "none.ts"), join(home.project, "src", "none.ts"));
  symlinkSync("a.ts", join(home.project, "src", "inner.ts"));
  git(home.project, "add", "-A");
  git(home.project, "commit", "--quiet", "-m", "links");
  for (const what of ["rules", "lint-fix"]) expect((await home.report(`${what} src --trust`))["files"]).toHaveLength(2);
  const { branch } = await home.report("rules src --branch --no-tests");
  expect(git(home.project, "diff", "--name-only", "HEAD", String(branch)).split("\n")).toHaveLength(3);
  expect([readdirSync(home.other), readFileSync(stray, "utf8")]).toEqual([["stray.ts"], "var stray = 1;\n"]);
});
