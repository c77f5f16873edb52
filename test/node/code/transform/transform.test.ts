import { existsSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { failed, printed } from "#harness/machine/cli-home.ts";
import { commitAll, contents, git, makeRepository, write } from "#harness/machine/git-project.ts";
import {
  aTransformHome,
  install,
  varRule,
  withTransform,
  type TransformHome,
} from "#harness/transform/transform-rig.ts";
import { aCliHome } from "#harness/machine/cli-home.ts";

const untested = "--branch --no-tests";

/** A file as it is on the branch that was left. */
function onBranch(home: TransformHome, report: Record<string, unknown>, path: string): string {
  return git(home.project, "show", `${String(report["branch"])}:${path}`);
}

it("a dry run shows diff and counts of a rule, and changes nothing but the store @night", async () => {
  const home = aTransformHome();
  const before = contents(home.project, () => false);
  const ran = await home.transform("rules/no-var.yml");
  expect(ran).toMatchObject(
    printed("-var b = 2;\n+export let a = 1\n+let b = 2\n", "src/ü b.ts", /2 files, 3 insertions, 3 deletions/),
  );
  expect(ran.out).toContain("A second run changes nothing more. This was a dry run: --branch leaves a branch");
  expect(contents(home.project, (path) => path.endsWith("index"))).toEqual(
    Object.fromEntries(Object.entries(before).filter(([path]) => !path.endsWith("index"))),
  );
  expect([home.leftovers(), home.branches()]).toEqual([[], []]);
});

it("each kind of transform reports the same facts @night", async () => {
  const home = aTransformHome({ ".oxlintrc.json": '{"rules":{"no-var":"error"}}' });
  const facts = { branch: null, commit: null, isIdempotent: true, tests: null, leftOut: [], uncommitted: 0 };
  const changed = async (command: string) => {
    const report = await home.report(command);
    expect(report).toMatchObject(facts);
    const { tool, files } = report as { tool: string; files: { path: string }[] };
    return [tool, files.map(({ path }) => path)];
  };
  expect(await changed("rules")).toEqual(["ast-grep", ["src/a.ts", "src/ü b.ts"]]);
  expect(await changed("codemods/no-var.cjs src --trust")).toEqual(["jscodeshift", ["src/a.ts", "src/ü b.ts"]]);
  expect(await changed("codemods/rename.ts --trust src")).toEqual(["ts-morph", ["src/a.ts", "src/ü b.ts"]]);
  expect(await changed("lint-fix")).toEqual(["oxlint", ["src/a.ts", "src/ü b.ts"]]);
  expect(await changed("lint-fix src/a.ts")).toEqual(["oxlint", ["src/a.ts"]]);
});

it("files that git checks out with other line ends change only where the codemod changed them @night", async () => {
  const home = aTransformHome();
  git(home.project, "config", "core.autocrlf", "true");
  const report = await home.report(`codemods/no-var.cjs src/a.ts --trust ${untested}`);
  expect(report).toMatchObject({ isIdempotent: true, insertions: 2, deletions: 2 });
  expect(onBranch(home, report, "src/a.ts")).toBe("export let a = 1;\nlet b = 2;\nconsole.log(a, b);\n");
  expect(git(home.project, "log", "-1", "--format=%s", String(report["branch"]))).toBe(
    "shim: no-var.cjs, by jscodeshift\n",
  );
});

it("what changes nothing says so, and ends with exit code 3 @night", async () => {
  const home = aTransformHome();
  expect(await home.transform("rules/no-var.yml check.js")).toMatchObject({
    code: 3,
    out: "ast-grep changed nothing.\n",
  });
  expect(await home.transform(`codemods/no-var.cjs check.js --trust ${untested}`)).toMatchObject({
    code: 3,
    out: "jscodeshift changed nothing.\n",
  });
  expect(home.branches()).toEqual([]);
});

it("a transform whose second run changes more says so, and leaves no branch @night", async () => {
  const home = aTransformHome({ "codemods/add.cjs": "module.exports = ({ source }) => `${source}// more\\n`;\n" });
  expect(await home.transform("codemods/add.cjs src/a.ts --trust")).toMatchObject(
    printed("A second run changes these files again."),
  );
  const refused = await home.transform(`codemods/add.cjs src/a.ts --trust ${untested}`);
  expect(refused).toMatchObject(failed(1, "a second run changes src/a.ts again."));
  expect(home.branches()).toEqual([]);
});

it("a branch is left once the project's tests pass, and nothing is merged @night", async () => {
  const home = aTransformHome();
  const head = git(home.project, "rev-parse", "HEAD").trim();
  const report = await home.report("rules --branch --trust");
  expect(report).toMatchObject({ tests: { command: "npm test" }, base: head });
  expect(home.branches()).toEqual([report["branch"]]);
  expect(git(home.project, "rev-parse", `${String(report["branch"])}~1`).trim()).toBe(head);
  expect(git(home.project, "rev-parse", "HEAD").trim()).toBe(head);
  expect([home.leftovers(), git(home.project, "status", "--porcelain")]).toEqual([[], ""]);
});

it("failing tests, no tests and tests of a project that is not trusted leave no branch @night", async () => {
  const breaks = varRule.replace("var $A = $B", "console.log(a, b)").replace(/fix:.*/, 'fix: "log"');
  const home = aTransformHome({ "rules/breaks.yml": breaks });
  expect(await home.transform("rules/breaks.yml --branch --trust")).toMatchObject(
    failed(1, "npm test ended with exit code 1", "No branch was left."),
  );
  expect(await home.transform("rules/no-var.yml --branch")).toMatchObject(
    failed(1, "the tests are code of the project", "--trust"),
  );
  expect(await home.transform("rules/no-var.yml --branch --trust --tests no-such-program")).toMatchObject(
    failed(1, "no-such-program"),
  );
  expect(await home.transform("rules/no-var.yml --branch --trust --tests a|b")).toMatchObject(
    failed(2, "no shell parses"),
  );
  write(home.project, { "package.json": '{"scripts":{"test":"echo \\"Error: no test specified\\" && exit 1"}}' });
  commitAll(home.project, "no tests");
  expect(await home.transform("rules/no-var.yml --branch --trust")).toMatchObject(
    failed(1, "there is no script for tests in package.json", "--no-tests"),
  );
  expect([home.branches(), home.leftovers()]).toEqual([[], []]);
});

it("tests judge the commit, and what they write is not in it @night", async () => {
  const check =
    'import { writeFileSync } from "node:fs"; writeFileSync("src/a.ts", "broken"); writeFileSync("new.txt", "");';
  const home = aTransformHome({ "check.js": check });
  const report = await home.report("rules --branch --trust");
  expect(onBranch(home, report, "src/a.ts")).toBe("export let a = 1\nlet b = 2\nconsole.log(a, b);\n");
  expect(git(home.project, "diff", "--name-only", "HEAD", String(report["branch"]))).not.toContain("new.txt");
});

it("a tool that is not installed is named with its package, and nothing is downloaded @night", async () => {
  const home = aTransformHome();
  rmSync(join(home.project, "node_modules"), { recursive: true });
  const cases = [
    ["rules", "@ast-grep/cli is not installed in node_modules"],
    ["codemods/no-var.cjs", "jscodeshift is not installed in node_modules"],
    ["codemods/rename.ts", "ts-morph, which is not installed in node_modules"],
    ["lint-fix", "oxlint is not used here; biome is not used here; eslint is not used here"],
  ] as const;
  for (const [what, why] of cases)
    expect(await home.transform(`${what} --trust`)).toMatchObject(
      failed(1, why, "SHIM downloads nothing: add the package"),
    );
});

it("code of a project runs only where it is trusted: by --trust, or by the setting analysis.trusted @night", async () => {
  const home = aTransformHome();
  const refusal = failed(1, "jscodeshift would run code of the project: a codemod is code", "analysis.trusted");
  expect(await home.transform("codemods/no-var.cjs src")).toMatchObject(refusal);
  write(home.paths.home, { "config.json": JSON.stringify({ analysis: { trusted: [home.folder] } }) });
  expect(await home.transform("codemods/no-var.cjs src")).toMatchObject(printed("jscodeshift"));
});

it("a program that came with the repository is code of the project", async () => {
  const home = aTransformHome({ ".gitignore": "" });
  rmSync(join(home.project, "node_modules"), { recursive: true });
  const program = "#!/usr/bin/env node\n";
  write(home.project, {
    "node_modules/@ast-grep/cli/package.json": '{"bin":{"ast-grep":"run.js"}}',
    "node_modules/@ast-grep/cli/run.js": program,
  });
  commitAll(home.project, "with a tool");
  expect(await home.transform("rules")).toMatchObject(failed(1, "the repository brings its own node_modules"));
});

it("a package of the workspace is the one in the worktree, and links are never committed @night", async () => {
  const test = 'import { value } from "lib";\nif (value !== 2) process.exit(1);\n';
  const files = {
    "package.json": '{"workspaces":["lib","app"]}',
    "lib/package.json": '{"name":"lib","type":"module","exports":"./index.js"}',
    "lib/index.js": "export const value = 1;\n",
    "app/package.json": '{"name":"app","type":"module","scripts":{"test":"node test.js"}}',
    "app/test.js": test,
    "app/a.js": "",
    "two.yml": 'id: two\nlanguage: JavaScript\nrule: { pattern: "const value = 1" }\nfix: "const value = 2"\n',
  };
  for (const ignored of ["node_modules/\n", ""]) {
    const home = aTransformHome({ ...files, ".gitignore": ignored });
    symlinkSync("../lib", join(home.project, "node_modules", "lib"));
    const report = await home.report("two.yml --branch --trust --tests", "node app/test.js");
    expect(report).toMatchObject({ files: [{ path: "lib/index.js" }], tests: { command: "node app/test.js" } });
    expect(git(home.project, "ls-tree", "-r", "--name-only", String(report["branch"]))).not.toContain("node_modules");
  }
});

it("tools and tests of a package in a subfolder run there, with packages of the folders above @night", async () => {
  const home = aTransformHome({
    "pkg/package.json": '{"scripts":{"test":"ast-grep --version"}}',
    "pkg/a.ts": "var a = 1;\n",
  });
  const report = await home.report("rules pkg --branch --trust");
  expect(report).toMatchObject({ files: [{ path: "pkg/a.ts" }], tests: { command: "npm test" } });
});

it("what is not committed is not included, and said @night", async () => {
  const home = aTransformHome();
  write(home.project, { "src/a.ts": "var dirty = 1;\n", "src/new.ts": "var fresh = 1;\n" });
  const ran = await home.transform("rules");
  expect(ran).toMatchObject(printed("Not included: 2 paths of your tree with changes that are not committed."));
  expect(ran.out).not.toMatch(/dirty|fresh/);
  expect(await home.transform("rules src/new.ts")).toMatchObject(failed(2, "src/new.ts is not in the commit"));
  expect(readFileSync(join(home.project, "src/a.ts"), "utf8")).toBe("var dirty = 1;\n");
});

it("what is no work tree with a commit is refused", async () => {
  const home = withTransform(aCliHome());
  home.alive.add(process.pid);
  expect(await home.transform("lint-fix")).toMatchObject(failed(2, "is not in the work tree of a git repository"));
  makeRepository(home.project);
  expect(await home.transform("lint-fix")).toMatchObject(failed(1, "has no commit yet"));
  git(home.folder, "init", "--quiet", "--bare", "bare");
  expect(await home.transform("lint-fix", { cwd: join(home.folder, "bare") })).toMatchObject(
    failed(2, "must be run in a work tree"),
  );
  expect(await home.transform(`lint-fix ${home.other}/none`)).toMatchObject(failed(2, "there is no"));
});

it("what names no transform is wrong usage @night", async () => {
  const home = aTransformHome({ "empty/a.txt": "", "bad.yml": "id: bad\nlanguage: Nope\n" });
  await expect(home.transform("no-such.yml")).resolves.toMatchObject(failed(2, "there is no"));
  await expect(home.transform("empty")).resolves.toMatchObject(failed(2, "there is no rule (.yml) in"));
  await expect(home.transform("empty/a.txt")).resolves.toMatchObject(failed(2, "neither a rule (.yml) nor a codemod"));
  await expect(home.transform("lint-fixes")).resolves.toMatchObject(failed(2, "there is no"));
  await expect(home.transform(`rules ${home.other}`)).resolves.toMatchObject(failed(2, "is not in"));
  await expect(home.transform("bad.yml")).resolves.toMatchObject(failed(1, "ast-grep ended with exit code 8", "Nope"));
  expect(home.leftovers()).toEqual([]);
});

it("a detached HEAD, a linked work tree and a submodule are transformed like any work tree @night", async () => {
  const home = aTransformHome();
  git(home.project, "checkout", "--quiet", "--detach");
  expect(await home.transform("rules")).toMatchObject(printed("2 files"));
  const linked = join(home.folder, "linked tree");
  git(home.project, "worktree", "add", "--quiet", "-b", "side", linked);
  install(linked);
  expect(await home.transform("rules", { cwd: linked })).toMatchObject(printed("2 files"));
  const outer = join(home.folder, "outer");
  makeRepository(outer, { "a.txt": "" });
  git(outer, "submodule", "--quiet", "add", home.project, "inner");
  commitAll(outer, "submodule");
  install(join(outer, "inner"));
  expect(await home.transform("rules", { cwd: join(outer, "inner") })).toMatchObject(printed("2 files"));
  install(outer);
  expect(await home.transform(join(home.project, "rules"), { cwd: outer })).toMatchObject({ code: 3 });
  expect(git(outer, "worktree", "list").trim().split("\n")).toHaveLength(1);
});

it("a new file with a secret is left out of the branch, and said @night", async () => {
  const key = ["AKIA", "IOSFODNN7", "QWERTYU"].join("");
  const codemod = `const fs = require("node:fs");
module.exports = ({ source }) => { fs.writeFileSync(".env", "AWS_ACCESS_KEY_ID=${key}"); return source.replace("var b", "let b"); };`;
  const home = aTransformHome({ "codemods/secret.cjs": codemod });
  const ran = await home.transform(`codemods/secret.cjs src/a.ts --trust ${untested}`);
  expect(ran).toMatchObject(printed("Left out: .env", "1 file, 1 insertion, 1 deletion"));
  expect(existsSync(join(home.project, ".env"))).toBe(false);
});
