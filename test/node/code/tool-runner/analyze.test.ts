import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Report } from "#src/code/analysis/report.ts";
import {
  analyze,
  anAnalysedProject,
  commit,
  fakeOxlint,
  install,
  reportOf,
  states,
} from "#harness/analysis/project.ts";
import { aCliHome, failed, holding } from "#harness/machine/cli-home.ts";
import { git, write } from "#harness/machine/git-project.ts";
import { processesIn } from "#harness/machine/process-tree.ts";

function newLines({ findings }: Report): string[] {
  return findings.filter(({ isNew }) => isNew).map(({ file, range }) => `${file}:${range?.line}`);
}

it("`shim code analyze` reports what the installed tools find, and names what to add @night", async () => {
  const home = aCliHome();
  anAnalysedProject(home);
  const ran = await analyze(home);
  expect([ran.code, ran.out]).toEqual([
    1,
    holding(
      "src/a.js:2:1  error  no debugger  [oxlint eslint(no-debugger)]\n",
      /oxlint +9\.8\.7 +1 findings in/,
      "Not analysed: duplicates. A tool that does: npm install --save-dev fallow\n",
      "Not analysed: dead code. A tool that does: npm install --save-dev fallow\n",
      "1 errors, 0 warnings, 0 notes\n",
    ),
  ]);
});

it("what no tool covered is named, and the exit code is not 0; --only makes it no question @night", async () => {
  const home = aCliHome();
  anAnalysedProject(home);
  write(home.project, { "src/a.js": "ok();\n" });
  const ran = await analyze(home, "--json");
  expect(ran.code).toBe(4);
  expect(Report.parse(ran.json()).notCovered).toEqual(expect.arrayContaining(["duplicates", "dead code"]));
  expect(await analyze(home, "--only oxlint")).toMatchObject({ code: 0 });
});

it("findings in installed packages and in files that git ignores are left out @night", async () => {
  const home = aCliHome();
  anAnalysedProject(home, { ".gitignore": "node_modules\nmade\n" });
  const files = ["src/a.js", "node_modules/b/c.js", "src/node_modules/d.js", "made/e.js", "src/f.js"];
  const found = files.map((filename) => ({ message: "m", code: "x(y)", severity: "warning", filename }));
  install(home.project, "oxlint", `console.log(${JSON.stringify(JSON.stringify({ diagnostics: found }))})`);
  const { findings } = await reportOf(home, "--only oxlint");
  expect(findings.map(({ file }) => file)).toEqual(["src/a.js", "src/f.js"]);
});

it("a folder, a commit, a baseline, a tool or a time that does not exist is wrong use", async () => {
  const home = aCliHome();
  anAnalysedProject(home);
  await home.misuses("code analyze", [
    ["nowhere", /no folder .*nowhere/],
    ["--since HEAD --baseline x", "cannot be used with"],
    ["--baseline gone.json", "--write-baseline makes one"],
    ["--baseline .gitignore", "is no baseline"],
    ["--only oxlint,nothing", "one of tsc"],
    ["--format xml", "Allowed choices are text, json, sarif, markdown"],
    ["--time-limit soon", "Give a duration"],
  ]);
  expect(await analyze(home, "--since gone")).toMatchObject(failed(2, "gone is not a commit"));
  expect(await analyze(home, "../other --since HEAD")).toMatchObject(failed(2, "in no git repository"));
});

it("where no tool ran the command fails", async () => {
  const home = aCliHome();
  const ran = await analyze(home);
  expect([ran.code, ran.out]).toEqual([1, holding("npm install --save-dev typescript")]);
});

it("tools of folders above are found up to the repository's, and nowhere else", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home);
  mkdirSync(join(folder, "packages", "one"), { recursive: true });
  expect(states(await reportOf(home, "packages/one --only oxlint"))).toMatchObject({ oxlint: "ran 0" });
  install(home.folder, "fallow", "throw new Error('started')");
  expect(states(await reportOf(home, "--only fallow"))).toEqual({});
});

it("a link that leads out of node_modules is not started", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home, { "evil.js": "require('node:fs').writeFileSync('ran', '')" });
  write(folder, { "node_modules/fallow/package.json": '{"bin":"cli.js"}' });
  symlinkSync("../../evil.js", join(folder, "node_modules", "fallow", "cli.js"));
  const report = await reportOf(home, "--trust --only fallow");
  expect(states(report)["fallow"]).toContain("leads out of node_modules");
  expect(existsSync(join(folder, "ran"))).toBe(false);
});

it("a tool that crashes or prints no report is named, and the others count @night", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home, { "tsconfig.json": "{}", "biome.json": "{}" });
  install(folder, "typescript", "process.kill(process.pid, 'SIGSEGV')", "tsc");
  install(folder, "@biomejs/biome", "console.log('not JSON'); process.exitCode = 3", "biome");
  const ran = await analyze(home, "--json");
  const report = Report.parse(ran.json());
  expect(ran.code).toBe(1);
  expect(states(report)).toMatchObject({
    tsc: "exit code 139 without a report",
    oxlint: "ran 1",
    biome: "exit code 3: not JSON",
    complexity: "ran 0",
  });
  expect(report.findings).toHaveLength(1);
});

it("a tool that hangs is named and ended, makes the command fail, and the others count @night", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home, {});
  install(folder, "fallow", "setInterval(() => {}, 1000)");
  const ran = await analyze(home, "--json --time-limit 1s");
  const report = Report.parse(ran.json());
  const { fallow, oxlint } = states(report);
  expect([ran.code, fallow]).toEqual([1, "took longer than 1 s"]);
  // Whether it ends within the second is up to the machine.
  expect(["ran 1", "took longer than 1 s"]).toContain(oxlint);
  expect(report.findings).toHaveLength(oxlint === "ran 1" ? 1 : 0);
  expect(processesIn(folder)).toEqual([]);
});

it("without a finding a failed tool makes the command fail @night", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home, { "src/a.js": "ok();\n" });
  install(folder, "fallow", "process.exitCode = 2");
  expect((await analyze(home)).code).toBe(1);
});

it("a baseline holds what is there; then only new findings fail @night", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home);
  expect((await analyze(home, "--only oxlint --baseline known.json --write-baseline")).code).toBe(0);
  expect((await analyze(home, "--only oxlint --baseline known.json")).code).toBe(0);
  write(folder, { "src/a.js": "// moved\nok();\ndebugger;\n", "src/b.js": "debugger;" });
  const report = await reportOf(home, "--only oxlint --baseline known.json");
  expect([newLines(report), report.totals.new]).toEqual([["src/b.js:1"], 1]);
  expect((await analyze(home, "--only oxlint --baseline known.json")).code).toBe(1);
  expect((await analyze(home, "--only oxlint --write-baseline")).code).toBe(0);
  expect(existsSync(join(folder, "analysis-baseline.json"))).toBe(true);
});

it("--since: only what the commit does not have is new, through edits, moves and renames @night", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home);
  expect((await analyze(home, "--only oxlint --since HEAD")).code).toBe(0);
  renameSync(join(folder, "src", "a.js"), join(folder, "src", "renamed.js"));
  write(folder, { "src/renamed.js": "// new\n\nok();\n  debugger;\n" });
  expect((await analyze(home, "--only oxlint --since HEAD")).code).toBe(0);
  write(folder, { "src/c.js": "ok();\ndebugger; // mine\n" });
  const report = await reportOf(home, "--only oxlint --since HEAD");
  expect([newLines(report), report.findings.length]).toEqual([["src/c.js:2"], 2]);
  commit(folder);
  expect((await analyze(home, "--only oxlint --since HEAD")).code).toBe(0);
  expect(newLines(await reportOf(home, "--only oxlint --since HEAD~1"))).toEqual(["src/c.js:2"]);
});

it("--since in a folder below the repository's, with links and programs as they are @night", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home, { "packages/one/package.json": "{}", "packages/one/src/x.js": "debugger;\n" });
  symlinkSync("/etc", join(folder, "packages", "link"));
  commit(folder);
  write(folder, { "packages/one/src/y.js": "debugger;\n" });
  const report = await reportOf(home, "--only oxlint packages/one --since HEAD");
  expect(newLines(report)).toEqual(["src/y.js:1"]);
});

it("the repository, its index and its files stay as they are, and no filter of its settings runs @night", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home, { ".gitattributes": "*.js filter=own\n" });
  git(folder, "config", "filter.own.smudge", `touch ${join(home.folder, "filtered")}`);
  writeFileSync(join(folder, "src", "b.js"), "debugger;");
  const state = (): string[] => [
    git(folder, "status", "--porcelain"),
    git(folder, "worktree", "list"),
    git(folder, "for-each-ref"),
    readFileSync(join(folder, ".git", "index")).toString("hex"),
  ];
  const before = state();
  await reportOf(home, "--only oxlint --since HEAD");
  expect(state()).toEqual(before);
  expect(existsSync(join(home.folder, "filtered"))).toBe(false);
});

it("a tool that fails on the commit is named, since all it finds counts as new @night", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home);
  install(folder, "oxlint", `if (!require("node:fs").existsSync("mine")) process.exit(7);\n${fakeOxlint}`);
  writeFileSync(join(folder, "mine"), "");
  const report = await reportOf(home, "--since HEAD --only oxlint");
  expect([report.notes, newLines(report)]).toEqual([
    ["oxlint failed on HEAD, so all it finds counts as new: exit code 7 without a report"],
    ["src/a.js:2"],
  ]);
});

it("hotspots follow from the commits of the folder", async () => {
  const home = aCliHome();
  home.now = Date.now();
  const folder = anAnalysedProject(home);
  const measured = `[{ message: "function 'f' has a complexity of 12.", code: "eslint(complexity)", severity: "warning", filename: "src/a.js", labels: [{ span: { line: 1, column: 1 } }] }]`;
  install(folder, "oxlint", `console.log(JSON.stringify({ diagnostics: ${measured} }))`);
  write(folder, { "src/a.js": "changed" });
  commit(folder);
  const { hotspots } = await reportOf(home, "--only complexity");
  expect(hotspots).toEqual([{ file: "src/a.js", complexity: 12, commits: 2, score: 24 }]);
});

it("every format goes to stdout @night", async () => {
  const home = aCliHome();
  anAnalysedProject(home);
  expect((await analyze(home, "--only oxlint --format sarif")).json()).toMatchObject({ version: "2.1.0" });
  expect((await analyze(home, "--only oxlint --format markdown")).out).toContain("````text\nsrc/a.js:2:1  error");
  expect((await analyze(home, "--only oxlint --format json")).json()).toMatchObject({ version: 1 });
});

it("Ctrl-C ends the tools, and the command with 130", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home);
  const started = join(home.folder, "started");
  install(
    folder,
    "fallow",
    `require("node:fs").writeFileSync(${JSON.stringify(started)}, ""); setInterval(() => {}, 50)`,
  );
  const stop = new AbortController();
  const ran = home.shimWith({ interrupted: () => stop.signal }, "code analyze --only fallow");
  await expect.poll(() => existsSync(started), { timeout: 120_000 }).toBe(true);
  stop.abort();
  expect((await ran).code).toBe(130);
  expect(processesIn(folder)).toEqual([]);
});

it("a shell script of a package manager in .bin is not started, but the program that its package names @night", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home);
  const script = join(folder, "node_modules", ".bin", "oxlint");
  rmSync(script);
  writeFileSync(script, "#!/bin/sh\ntouch ran\n", { mode: 0o755 });
  expect(states(await reportOf(home, "--only oxlint"))).toMatchObject({ oxlint: "ran 1" });
  expect(existsSync(join(folder, "ran"))).toBe(false);
  write(folder, { "biome.json": "{}", "node_modules/@biomejs/biome/package.json": '{"bin":{"biome":"nowhere"}}' });
  expect(states(await reportOf(home))["biome"]).toContain("leads to no file");
});
