import { existsSync, readFileSync, renameSync, symlinkSync } from "node:fs";
import { join, dirname } from "node:path";
import { expect, it } from "vitest";
import { patience } from "#harness/machine/programs.ts";
import { Report } from "#src/code/analysis/report.ts";
import { runTool } from "#src/code/tool-runner/run-tool.ts";
import { fakeOxlint, install } from "#harness/analysis/installed-tool.ts";
import { aCliHome, failed, holding, type CliHome } from "#harness/machine/cli-home.ts";
import { git, makeRepository, write } from "#harness/machine/git-project.ts";
import { processesIn } from "#harness/machine/process-tree.ts";

/** A home that trusts its project, which has one finding of oxlint and a node_modules that git ignores. @param tools their scripts */
function anAnalysedHome(files: Record<string, string> = {}, tools: Record<string, string> = {}) {
  const home = aCliHome();
  home.alive.add(process.pid);
  makeRepository(home.project, { ".gitignore": "node_modules\n", "src/a.js": "ok();\ndebugger;\n", ...files });
  for (const [name, script] of Object.entries({ oxlint: fakeOxlint, ...tools })) install(home.project, name, script);
  trust(home, home.folder);
  const { signal } = new AbortController();
  const analyze = (options = "", env: NodeJS.ProcessEnv = {}): ReturnType<CliHome["shim"]> =>
    home.shimWith({ interrupted: () => signal, env: { ...home.runtime.env, ...env } }, `code analyze ${options}`);
  const report = async (options = ""): Promise<Report> => Report.parse((await analyze(`--json ${options}`)).json());
  return Object.assign(home, { analyze, report });
}

/** Folders below it are trusted, and no others. */
function trust(home: CliHome, folder: string): void {
  write(home.paths.home, { "config.json": JSON.stringify({ analysis: { trusted: [folder] } }) });
}

function states({ tools }: Report): Record<string, string> {
  return Object.fromEntries(tools.map(({ name, status, why, findings }) => [name, why ?? `${status} ${findings}`]));
}

it("`shim code analyze` reports what the tools find, what was not analysed, and which tool gave no report", async () => {
  const home = anAnalysedHome({ "tsconfig.json": "{}" });
  install(home.project, "typescript", "process.kill(process.pid, 'SIGSEGV')", "tsc");
  // Not the repository's.
  install(home.folder, "fallow", "console.log('{}')");
  const out = holding(
    "src/a.js:2:1  error  no debugger  [oxlint eslint(no-debugger)]\n",
    /tsc +9\.8\.7 +failed: exit code 139 without a report/,
    /oxlint +9\.8\.7 +1 finding in/,
    "Not analysed: types. A tool that does: npm install --save-dev typescript\n",
    "Not analysed: duplicates. A tool that does: npm install --save-dev fallow\n",
    "Not analysed: dead code. A tool that does: npm install --save-dev fallow\n",
    "1 error, 0 warnings, 0 notes\n",
  );
  expect(await home.analyze()).toMatchObject({ code: 1, out });
});

it("neither packages nor what git ignores have findings, also beside a file that git refuses", async () => {
  const unknown = ["../../beside.js", "../link/b.js", "../module/b.js"];
  const files = ["src/a.js", "ignored.js", "../ignored.js", "node_modules/b/c.js", ...unknown];
  const found = files.map((filename) => ({ code: "x(y)", severity: "error", message: "", filename }));
  const oxlint = `console.log(${JSON.stringify(JSON.stringify({ diagnostics: found }))})`;
  const home = anAnalysedHome({ ".gitignore": "ignored.js\n", "app/package.json": "{}" }, { oxlint });
  makeRepository(join(home.project, "module"), { "b.js": "" });
  git(home.project, "add", "module");
  symlinkSync("app", join(home.project, "link"));
  const report = await home.report("app --only oxlint");
  expect(report.findings.map(({ file }) => file)).toEqual([...unknown, "src/a.js"]);
});

it("a folder, a commit, a tool or a time that does not exist is wrong use", async () => {
  const home = anAnalysedHome();
  await home.misuses("code analyze", [
    ["nowhere", /no folder .*nowhere/],
    ["--only oxlint,nothing", "one of tsc"],
    ["--time-limit soon", "Give a duration"],
  ]);
  expect(await home.analyze("--since gone")).toMatchObject(failed(2, "gone is not a commit"));
  expect(await home.analyze("../other --since HEAD")).toMatchObject(failed(2, "in no git repository"));
});

it("a link that leads out of node_modules is not started", async () => {
  const home = anAnalysedHome({ "evil.js": "require('node:fs').writeFileSync('ran', '')" });
  write(home.project, { "node_modules/fallow/package.json": '{"bin":"cli.js"}' });
  symlinkSync("../../evil.js", join(home.project, "node_modules", "fallow", "cli.js"));
  expect(states(await home.report("--only fallow"))["fallow"]).toContain("leads out of node_modules");
  expect(existsSync(join(home.project, "ran"))).toBe(false);
});

it("a tool that hangs is named and ended, makes the command fail, and the others count", async () => {
  const home = anAnalysedHome({}, { fallow: "setInterval(() => {}, 1000)" });
  const ran = await home.analyze("--json --time-limit 1s");
  const report = Report.parse(ran.json());
  const { fallow, oxlint } = states(report);
  expect([ran.code, fallow]).toEqual([1, "took longer than 1 s"]);
  // Whether it ends within the second is up to the machine.
  expect(["ran 1", "took longer than 1 s"]).toContain(oxlint);
  expect(report.findings).toHaveLength(oxlint === "ran 1" ? 1 : 0);
  expect(processesIn(home.project)).toEqual([]);
});

it("--since: only what the commit does not have is new, in a package of a repository, which stays as it is", async () => {
  const sources = { "src/a.js": "ok();\n", "app/src/a.js": "ok();\ndebugger;\n", "app/src/b.js": "ok();\n" };
  const home = anAnalysedHome({ ".gitattributes": "*.js filter=own\n", ...sources });
  const app = join(home.project, "app");
  git(home.project, "config", "filter.own.smudge", `touch ${join(home.folder, "filtered")}`);
  const since = async (): Promise<Report> => home.report("app --only oxlint,complexity --since HEAD");
  const before = await since();
  expect(before.totals).toMatchObject({ error: 1, new: 0 });
  renameSync(join(app, "src", "a.js"), join(app, "src", "renamed.js"));
  write(app, { "src/renamed.js": "// new\n\nok();\n  debugger;\n", "src/c.js": "ok();\ndebugger; // mine\n" });
  const state = (): string[] => [
    git(home.project, "status", "--porcelain"),
    git(home.project, "worktree", "list"),
    git(home.project, "for-each-ref"),
    readFileSync(join(home.project, ".git", "index")).toString("hex"),
  ];
  const unchanged = state();
  const { findings } = await since();
  const fresh = findings.filter(({ isNew }) => isNew).map(({ file, range }) => `${file}:${range?.line}`);
  expect([findings.length, fresh]).toEqual([2, ["src/c.js:2"]]);
  expect(state()).toEqual(unchanged);
  const { code, out } = await home.analyze("app --only oxlint --since HEAD");
  expect([code, out.match(/^src.*:\d+/gm)]).toEqual([1, ["src/c.js:2:1"]]);
  expect(out).toContain("1 new since HEAD; 2 errors, 0 warnings, 0 notes in all\n");
  expect(existsSync(join(home.folder, "filtered"))).toBe(false);
});

it("a tool that fails on the commit makes all it finds count as new, and the report says so", async () => {
  const oxlint = `${fakeOxlint}\nif (!fs.existsSync("src/b.js")) { console.error("no b"); process.exitCode = 2; }`;
  const home = anAnalysedHome({}, { oxlint });
  write(home.project, { "src/b.js": "" });
  const { totals, notes } = await home.report("--only oxlint --since HEAD");
  expect(totals.new).toBe(1);
  expect(notes).toContain("oxlint failed on HEAD, so all it finds counts as new: exit code 2: no b");
});

it("Ctrl-C ends the tools, and the command with 130", async () => {
  const home = anAnalysedHome();
  const started = join(home.folder, "started");
  const begin = `require("node:fs").writeFileSync(${JSON.stringify(started)}, "");`;
  install(home.project, "fallow", `${begin} setInterval(() => {}, 50)`);
  const stop = new AbortController();
  const ran = home.shimWith({ interrupted: () => stop.signal }, "code analyze --only fallow");
  await expect.poll(() => existsSync(started), patience).toBe(true);
  stop.abort();
  expect((await ran).code).toBe(130);
  expect(processesIn(home.project)).toEqual([]);
});

it("a tool gets only variables that programs need, no network and a home of its own, and nothing of it is left", async () => {
  const endless = "['-e', 'setInterval(() => {}, 1000)']";
  const child = `require('node:child_process').spawn(process.execPath, ${endless}, { stdio: 'ignore' }).unref()`;
  const found = `{ env: process.env, network: Object.keys(require('node:os').networkInterfaces()), child: ${child} }`;
  const diagnostic = `{ message: JSON.stringify(${found}), code: "x(y)", severity: "warning", filename: "a.js" }`;
  const home = anAnalysedHome({}, { oxlint: `console.log(JSON.stringify({ diagnostics: [${diagnostic}] }))` });
  const ours = { LANG: "C", PATH: "/p/node_modules/.bin:bin:/usr/bin:/bin" };
  const secret = { GITHUB_TOKEN: "ghp_x", NODE_OPTIONS: "--require ./evil.js", SHIM_TOKEN: "t", ...ours };
  const { findings, notes } = Report.parse((await home.analyze("--json --only oxlint", secret)).json());
  const seen = JSON.parse(findings[0]?.message ?? "") as { env: Record<string, string>; network: string[] };
  const { env, network } = seen;
  expect(Object.keys(env)).toEqual(expect.not.arrayContaining(["GITHUB_TOKEN", "SHIM_TOKEN", "SHIM_HOME"]));
  const PATH = `/usr/bin:/bin:${dirname(process.execPath)}`;
  expect(env).toMatchObject({ LANG: "C", PATH, NODE_OPTIONS: "--max-old-space-size=4096" });
  expect(env["HOME"]).not.toBe(home.folder);
  expect(notes.includes("The network was NOT blocked for tools on this system.")).toBe(network.length > 0);
  expect(processesIn(home.project)).toEqual([]);
  expect(existsSync(dirname(String(env["HOME"])))).toBe(false);
});

it("a tool that prints without end is stopped", async () => {
  const endless = "const text = 'x'.repeat(1e6); const more = () => process.stdout.write(text, more); more();";
  const home = anAnalysedHome({}, { fallow: endless });
  const { tools } = await home.report("--only fallow");
  expect(tools[0]?.why).toMatch(/its output has more than \d+ characters/);
});

it.runIf(process.platform === "linux")("a process of a tool above the limit of memory ends it", async () => {
  const home = anAnalysedHome();
  const start = (code: string) => {
    write(home.project, { "tool.cjs": code });
    const tool = { path: join(home.project, "tool.cjs"), isScript: true, version: null };
    const bounds = { memoryMb: 300, timeMs: 60_000, signal: new AbortController().signal };
    const where = { folder: home.project, scratch: home.project, env: process.env };
    return runTool({ tool, command: { args: [] }, ...where, ...bounds });
  };
  const full = "const held = Buffer.alloc(5e8, 1); setInterval(() => held.length, 1e3);";
  const child = `require("node:child_process").spawnSync(process.execPath, ["-e", ${JSON.stringify(full)}])`;
  const error = "one of its processes used more than 300 MB of memory";
  expect(await start(child)).toEqual({ ok: false, error });
  // Reserved, but never written to: as the parsers and the WebAssembly of runtimes do.
  const reserved = "const held = new WebAssembly.Memory({ initial: 30000 }); console.log(held.buffer.byteLength > 1e9)";
  expect(await start(reserved)).toMatchObject({ ok: true, value: { code: 0, stdout: "true\n" } });
});

it("no tool of a project runs before the project is trusted: by the option, or by the settings", async () => {
  const home = anAnalysedHome({}, { fallow: "require('node:fs').writeFileSync('ran', ''); console.log('{}')" });
  const refusal = failed(1, `the tools and tests of ${home.project} are code`, "--trust");
  for (const folder of [join(home.folder, "proj"), home.other]) {
    trust(home, folder);
    expect(await home.analyze()).toMatchObject(refusal);
    expect(existsSync(join(home.project, "ran"))).toBe(false);
  }
  expect(states(await home.report("--only fallow --trust"))).toEqual({ fallow: "ran 0" });
  trust(home, home.folder);
  expect(states(await home.report("--only fallow"))).toEqual({ fallow: "ran 0" });
});
