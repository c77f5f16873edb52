import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { failed, printed } from "#harness/machine/cli-home.ts";
import { git } from "#harness/machine/git-project.ts";
import { aTransformHome, type TransformHome } from "#harness/transform/transform-rig.ts";

/** Does something for each file that it gets. */
function codemod(body: string): Readonly<Record<string, string>> {
  return { "codemods/bad.cjs": `const fs = require("node:fs");\nmodule.exports = ({ source }) => { ${body} };\n` };
}

const command = "codemods/bad.cjs src/a.ts --trust";

function nothingLeft(home: TransformHome): void {
  expect([home.leftovers(), home.branches(), git(home.project, "status", "--porcelain")]).toEqual([[], [], ""]);
}

it("a transform that never ends is stopped, and leaves nothing @night", async () => {
  const home = aTransformHome(codemod("for (;;);"));
  expect(await home.transform(`${command} --branch --time-limit 2s`)).toMatchObject(failed(1, "took longer than 2 s"));
  nothingLeft(home);
});

it("Ctrl-C ends a transform, and leaves nothing @night", async () => {
  const home = aTransformHome(codemod('fs.writeFileSync("begun", ""); for (;;);'));
  const stop = new AbortController();
  const running = home.transform(`${command} --branch`, { interrupted: () => stop.signal });
  const work = join(home.paths.home, "work");
  const hasBegun = (): boolean => home.leftovers().some((name) => existsSync(join(work, name, "tree", "begun")));
  await vi.waitFor(() => expect(hasBegun()).toBe(true), { timeout: 120_000, interval: 50 });
  stop.abort();
  expect(await running).toMatchObject(failed(130, "the transform was stopped"));
  nothingLeft(home);
});

it("a codemod writes only in the worktree: no file elsewhere, no package, no link, no program @night", async () => {
  const mark = "marked-by-a-codemod";
  const attempts = `
const path = require("node:path");
const tries = {
  up: () => fs.writeFileSync(path.join(process.cwd(), "..", "..", "${mark}"), ""),
  beside: () => fs.writeFileSync(path.join(process.cwd(), "..", "node_modules", "${mark}"), ""),
  package: () => fs.writeFileSync(require.resolve("jscodeshift") + ".${mark}", ""),
  repository: () => fs.writeFileSync(path.join(HOME, "project", ".git", "${mark}"), ""),
  user: () => fs.writeFileSync(path.join(HOME, "project", "${mark}"), ""),
  link: () => fs.symlinkSync(HOME, path.join(process.cwd(), "${mark}")),
  program: () => require("node:child_process").execFileSync("touch", [path.join(HOME, "${mark}")]),
};
const failed = Object.entries(tries).flatMap(([name, attempt]) => { try { attempt(); return []; } catch (error) { return [name + " " + error.code]; } });
return source.split("// tried")[0] + "// tried " + failed.join(", ") + "\\n";`;
  const home = aTransformHome();
  const body = attempts.replaceAll("HOME", JSON.stringify(home.folder));
  const path = join(home.project, "bad.cjs");
  writeFileSync(path, `const fs = require("node:fs");\nmodule.exports = ({ source }) => { ${body} };\n`);
  const refused = ["up", "beside", "package", "repository", "user", "link", "program"].map(
    (name) => `${name} ERR_ACCESS_DENIED`,
  );
  expect(await home.transform("bad.cjs src/a.ts --trust")).toMatchObject(printed(`+// tried ${refused.join(", ")}`));
  rmSync(path);
  nothingLeft(home);
});

it("a codemod that deletes .git, replaces it by a repository with programs, or deletes everything does no harm @night", async () => {
  const mark = "mark";
  const replaced = `fs.rmSync(".git"); fs.mkdirSync(".git/objects", { recursive: true }); fs.mkdirSync(".git/refs");
fs.writeFileSync(".git/HEAD", "ref: refs/heads/main\\n");
fs.writeFileSync(".git/config", "[core]\\n fsmonitor = touch ${mark}\\n[diff]\\n external = touch ${mark}\\n");`;
  for (const body of [
    'fs.rmSync(".git", { force: true });',
    replaced,
    'for (const name of fs.readdirSync(".")) fs.rmSync(name, { recursive: true });',
  ]) {
    const home = aTransformHome(
      codemod(
        `if (fs.existsSync(".git") && fs.statSync(".git").isFile()) { ${body} } return source.replace("var b", "let b");`,
      ),
    );
    const ran = await home.transform(`${command} --branch --no-tests`);
    const isHarmless = ran.code === 0 || (ran.code === 1 && ran.err !== "");
    expect([isHarmless, ran.err.includes("a bug in SHIM")], ran.err).toEqual([true, false]);
    expect([home.leftovers(), git(home.project, "status", "--porcelain")]).toEqual([[], ""]);
    expect(existsSync(join(home.project, mark))).toBe(false);
    expect(git(home.project, "fsck")).toBe("");
  }
});

it("a transform that breaks the syntax fails the tests @night", async () => {
  const home = aTransformHome({
    "rules/broken.yml":
      'id: broken\nlanguage: JavaScript\nrule: { pattern: "process.exit(1)" }\nfix: "process.exit(("\n',
  });
  expect(await home.transform("rules/broken.yml --branch --trust")).toMatchObject(
    failed(1, "SyntaxError", "No branch was left."),
  );
  nothingLeft(home);
});

it("a configuration of ast-grep in the project loads no library of its own @night", async () => {
  const library = "customLanguages:\n  evil:\n    libraryPath: ./evil.so\n    extensions: [ts]\nruleDirs: [none]\n";
  const home = aTransformHome({ "sgconfig.yml": library, "evil.so": "no library" });
  expect(await home.transform("rules")).toMatchObject(printed("2 files, 3 insertions"));
});

it("the worktree of a transform whose process was killed is removed by the next one @night", async () => {
  const home = aTransformHome();
  const folder = join(home.paths.home, "work", "transform-0000dead");
  mkdirSync(folder, { recursive: true });
  git(home.project, "worktree", "add", "--quiet", "--detach", join(folder, "tree"));
  const owner = { boot: "boot-0", pid: 4_000_000, start: "s1" };
  const record = {
    task: 0,
    repository: join(home.project, ".git"),
    branch: "shim/transform-0000dead",
    base: "HEAD",
    owner,
  };
  writeFileSync(join(folder, "record.json"), JSON.stringify(record));
  writeFileSync(join(folder, "tree", "src", "a.ts"), "changed");
  expect(await home.transform("rules")).toMatchObject(printed("2 files"));
  nothingLeft(home);
});

it("a symbolic link in the repository leads no tool out of it, and is as before in the branch @night", async () => {
  const through =
    'for (const path of ["src/link.ts", "src/folder/new.ts", "src/none.ts"]) try { fs.writeFileSync(path, ""); } catch {}';
  const home = aTransformHome({
    ".oxlintrc.json": '{"rules":{"no-var":"error"}}',
    ...codemod(`${through} return source.replace("var b", "let b");`),
  });
  const stray = join(home.other, "stray.ts");
  writeFileSync(stray, "var stray = 1;\n");
  symlinkSync(stray, join(home.project, "src", "link.ts"));
  symlinkSync(home.other, join(home.project, "src", "folder"));
  symlinkSync(join(home.other, "none.ts"), join(home.project, "src", "none.ts"));
  symlinkSync("a.ts", join(home.project, "src", "inner.ts"));
  git(home.project, "add", "-A");
  git(home.project, "commit", "--quiet", "-m", "links");
  for (const what of ["rules", "codemods/no-var.cjs", "codemods/rename.ts", "lint-fix"])
    expect((await home.report(`${what} src --trust`))["files"]).toHaveLength(2);
  const { branch } = await home.report("rules src --branch --no-tests");
  expect(git(home.project, "diff", "--name-only", "HEAD", String(branch)).split("\n")).toHaveLength(3);
  expect(await home.transform(command)).toMatchObject({ code: 0 });
  expect([readdirSync(home.other), readFileSync(stray, "utf8")]).toEqual([["stray.ts"], "var stray = 1;\n"]);
});
