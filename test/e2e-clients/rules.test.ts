import { existsSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it, vi } from "vitest";
import { astGrepTool, programOf } from "../../scripts/install-clients.ts";
import { install } from "#harness/analysis/installed-tool.ts";
import { linkPackages } from "#harness/evolution/sample-project.ts";
import { aCliHome, type CliHome, failed, printed } from "#harness/machine/cli-home.ts";
import { contents, git, leftIn, makeRepository, write } from "#harness/machine/git-project.ts";
import { processesIn } from "#harness/machine/process-tree.ts";
import { patience } from "#harness/machine/programs.ts";
import type { Io } from "#src/cli/io.ts";
import type { EvolveReport } from "#src/code/evolution/run.ts";

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

/** @param tool program that is its ast-grep; null: the real one */
function aRulesHome(files: Readonly<Record<string, string>> = {}, tool: string | null = null) {
  const home = aCliHome();
  home.alive.add(process.pid);
  makeRepository(home.project, { ...sources, ...files });
  if (tool === null) linkPackages(join(programOf(astGrepTool), "../.."), home.project, ["@ast-grep/cli"], ["ast-grep"]);
  else install(home.project, "@ast-grep/cli", tool, "ast-grep");
  const env = { ...home.runtime.env, PATH: `${dirname(process.execPath)}:/usr/bin:/bin` };
  Object.assign(home.runtime, { env });
  const io = { env, interrupted: () => new AbortController().signal };
  /** `shim code transform` of a project that is trusted, with Node's folder on the path, and no Ctrl-C. */
  const transform = (command: string, overrides: Partial<Io> = {}): ReturnType<CliHome["shim"]> =>
    home.shimWith({ ...io, ...overrides }, `code transform ${command} --trust`);
  return Object.assign(home, {
    transform,
    report: async (command: string) =>
      (await transform(`--json ${command} --branch`)).json() as unknown as EvolveReport,
    refuses: async (command: string, ...why: Parameters<typeof failed>) =>
      expect([command, await transform(command)]).toMatchObject([command, failed(...why)]),
    branches: () => leftIn(home.project, home.paths.home).branches,
    /** What a change could leave behind, which is nothing but branches. */
    leftovers() {
      const { folders, worktrees } = leftIn(home.project, home.paths.home);
      return [...folders, ...worktrees];
    },
  });
}

type RulesHome = ReturnType<typeof aRulesHome>;

/** Its ast-grep does this. */
function withTool(body: string): RulesHome {
  return aRulesHome({}, `const fs = require("node:fs");\n${body}`);
}

const mend = 'fs.writeFileSync("src/a.ts", fs.readFileSync("src/a.ts", "utf8").replace("var b", "let b"));';

/** Asking git for the state may write it. */
const isIndex = (path: string): boolean => path.endsWith("index");

it("a dry run shows the diff of a rule on what is committed, and changes nothing but the store", async () => {
  const home = aRulesHome({ "rules/none.yml": varRule.replace("var $A", "goto $A") });
  write(home.project, { "src/a.ts": "var dirty = 1;\n", "src/new.ts": "var fresh = 1;\n" });
  const before = contents(home.project, isIndex);
  const ran = await home.transform("rules/no-var.yml");
  const diff = "-var b = 2;\n+export let a = 1\n+let b = 2\n";
  const [note, left] = ["This was a dry run: --branch leaves a branch", "not committed are left out: 2 files."];
  expect(ran).toMatchObject({ ...printed(diff, note), err: expect.stringContaining(left) as string });
  expect(ran.out).not.toMatch(/dirty|fresh/);
  expect(await home.transform("rules/none.yml")).toMatchObject(printed("The rules change nothing."));
  expect(contents(home.project, isIndex)).toEqual(before);
  expect([home.leftovers(), home.branches()]).toEqual([[], []]);
  write(home.project, { "large.yml": "#".repeat(1_048_577) });
  await home.refuses("large.yml", 2, "more than 1 MiB");
  await home.refuses("check.js", 2, "there is no rule of ast-grep (.yml) in");
  await home.refuses("none.yml", 2, "there is no ");
});

it("rules leave a branch once the project's tests pass, and nothing is merged; what tests write is not in it", async () => {
  const check = 'import { writeFileSync as put } from "node:fs"; put("src/a.ts", "broken"); put("new.txt", "");';
  const home = aRulesHome({ "check.js": check });
  const head = git(home.project, "rev-parse", "HEAD").trim();
  const { tried } = await home.report("rules");
  expect(tried).toMatchObject([{ outcome: "kept", what: "rules of ast-grep: no-var" }]);
  const branch = String(tried[0]?.branch);
  expect(home.branches()).toEqual([branch]);
  expect(git(home.project, "rev-parse", `${branch}~1`, "HEAD").trim()).toBe(`${head}\n${head}`);
  expect(git(home.project, "show", `${branch}:src/a.ts`)).toBe("export let a = 1\nlet b = 2\nconsole.log(a, b);\n");
  expect(git(home.project, "diff", "-z", "--name-only", "HEAD", branch)).toBe("src/a.ts\0src/ü b.ts\0");
  expect([home.leftovers(), git(home.project, "status", "--porcelain")]).toEqual([[], ""]);
});

it("rules whose change fails the tests, and a project without tests, leave no branch", async () => {
  const breaks = varRule.replace("var $A = $B", "console.log(a, b)").replace(/fix:.*/, 'fix: "log"');
  const home = aRulesHome({ "rules/breaks.yml": breaks });
  const { tried } = await home.report("rules/breaks.yml");
  expect(tried).toMatchObject([{ outcome: "rejected", branch: null }]);
  expect(tried[0]?.why).toContain("the tests fail: npm test ended with exit code 1");
  await home.refuses("rules/no-var.yml --branch --tests no-such-program", 1, "no-such-program");
  const bare = aRulesHome({ "package.json": "{}" });
  await bare.refuses("rules/no-var.yml --branch", 1, "there is no script for tests in package.json; --tests names");
  for (const one of [home, bare]) expect([one.branches(), one.leftovers()]).toEqual([[], []]);
});

it("a project that is not trusted is not changed: neither a tool nor a test of it runs", async () => {
  const home = withTool('fs.writeFileSync("/dev/null", "");');
  expect(await home.shim("code transform rules")).toMatchObject(failed(1, "code that could do anything", "--trust"));
});

it("Ctrl-C ends a change by rules, and leaves nothing", async () => {
  const home = withTool('fs.writeFileSync("begun", ""); for (;;);');
  const stop = new AbortController();
  const running = home.transform("rules --branch", { interrupted: () => stop.signal });
  const work = join(home.paths.home, "work");
  const hasBegun = (): boolean => home.leftovers().some((name) => existsSync(join(work, name, "tree", "begun")));
  await vi.waitFor(() => expect(hasBegun()).toBe(true), patience);
  stop.abort();
  expect(await running).toMatchObject(failed(130, "it was stopped"));
  expect([home.leftovers(), home.branches(), processesIn(work)]).toEqual([[], [], []]);
  expect(git(home.project, "status", "--porcelain")).toBe("");
});

it("a tool that deletes .git, replaces it by a repository with programs, or deletes everything does no harm @night", async () => {
  const mark = "mark";
  const replaced = `fs.rmSync(".git"); fs.mkdirSync(".git/objects", { recursive: true }); fs.mkdirSync(".git/refs");
fs.writeFileSync(".git/HEAD", "ref: refs/heads/main\\n");
fs.writeFileSync(".git/config", "[core]\\n fsmonitor = touch ${mark}\\n[diff]\\n external = touch ${mark}\\n");`;
  const removed = 'fs.rmSync(".git", { force: true });';
  const emptied = 'for (const name of fs.readdirSync(".")) fs.rmSync(name, { recursive: true });';
  for (const body of [`${mend} ${removed}`, `${mend} ${replaced}`, emptied]) {
    const home = withTool(body);
    const ran = await home.transform("rules --branch");
    const isHarmless = ran.code === 0 || (ran.code === 1 && ran.err !== "");
    expect([isHarmless, ran.err.includes("a bug in SHIM")], ran.err).toEqual([true, false]);
    expect([home.leftovers(), git(home.project, "status", "--porcelain")]).toEqual([[], ""]);
    expect(existsSync(join(home.project, mark))).toBe(false);
    expect(git(home.project, "fsck", "--no-dangling")).toBe("");
  }
});

it("a configuration of ast-grep in the project loads no library of its own @night", async () => {
  const library = "customLanguages:\n  evil:\n    libraryPath: ./evil.so\n    extensions: [ts]\nruleDirs: [none]\n";
  const home = aRulesHome({ "sgconfig.yml": library, "evil.so": "no library" });
  expect(await home.transform("rules")).toMatchObject(printed("+let b = 2"));
});

it("the worktree of a change whose process was killed is removed by the next one, and no other", async () => {
  const home = aRulesHome();
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
  expect(await home.transform("rules")).toMatchObject(printed("+let b = 2"));
  const { folders, worktrees } = leftIn(home.project, home.paths.home);
  expect([folders.toSorted(), worktrees.length]).toEqual([Object.keys(kept), 2]);
});

it("a symbolic link in the repository leads no tool out of it, and is as before in the branch @night", async () => {
  const home = aRulesHome();
  const stray = join(home.other, "stray.ts");
  writeFileSync(stray, "var stray = 1;\n");
  symlinkSync(stray, join(home.project, "src", "link.ts"));
  symlinkSync(home.other, join(home.project, "src", "folder"));
  symlinkSync(join(home.other, "none.ts"), join(home.project, "src", "none.ts"));
  symlinkSync("a.ts", join(home.project, "src", "inner.ts"));
  git(home.project, "add", "-A");
  git(home.project, "commit", "--quiet", "-m", "links");
  const { tried } = await home.report("rules");
  const branch = String(tried[0]?.branch);
  expect(git(home.project, "diff", "--name-only", "HEAD", branch).split("\n")).toHaveLength(3);
  expect([readdirSync(home.other), readFileSync(stray, "utf8")]).toEqual([["stray.ts"], "var stray = 1;\n"]);
});
