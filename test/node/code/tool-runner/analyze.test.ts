import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, dirname } from "node:path";
import { expect, it } from "vitest";
import { parseReport } from "#src/code/analysis/mutants.ts";
import { Report } from "#src/code/analysis/report.ts";
import { isTrusted } from "#src/code/tool-runner/project-folder.ts";
import { runTool } from "#src/code/tool-runner/run-tool.ts";
import { aCliHome, failed, holding, type CliHome } from "#harness/machine/cli-home.ts";
import { git, makeRepository, write } from "#harness/machine/git-project.ts";
import { processesIn } from "#harness/machine/process-tree.ts";
import { submit } from "#harness/worker/worker-rig.ts";

/** Installs a program the way npm does: a package, and a link in `.bin`. @param script of Node; its arguments begin at `process.argv[2]` */
function install(folder: string, name: string, script: string, program = name): void {
  const home = join(folder, "node_modules", name);
  const bin = { [program]: "cli.js" };
  write(home, {
    "package.json": JSON.stringify({ name, version: "9.8.7", bin }),
    "cli.js": `#!/usr/bin/env node\n${script}`,
  });
  chmodSync(join(home, "cli.js"), 0o755);
  const link = join(folder, "node_modules", ".bin", program);
  mkdirSync(dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(join("..", name, "cli.js"), link);
}

/** Reports the word `debugger` in files of `src` as oxlint would; the complexity run finds nothing. */
const fakeOxlint = `
const fs = require("node:fs");
const own = process.argv.some((word) => word.includes("complexity.json"));
const files = own || !fs.existsSync("src") ? [] : fs.readdirSync("src");
const usual = { message: "no debugger", code: "eslint(no-debugger)", severity: "error" };
const diagnostics = files.flatMap((name) =>
  fs.readFileSync("src/" + name, "utf8").split("\\n").flatMap((text, at) => {
    const span = { offset: 0, length: 0, line: at + 1, column: 1 };
    return text.includes("debugger") ? [{ ...usual, filename: "src/" + name, labels: [{ span }] }] : [];
  }),
);
console.log(JSON.stringify({ diagnostics }));
process.exitCode = diagnostics.length > 0 ? 1 : 0;
`;

/** A home whose project has one finding of oxlint, in a repository whose node_modules is ignored. @param tools their scripts */
function anAnalysedHome(files: Record<string, string> = {}, tools: Record<string, string> = {}) {
  const home = aCliHome();
  home.alive.add(process.pid);
  makeRepository(home.project, { ".gitignore": "node_modules\n", "src/a.js": "ok();\ndebugger;\n", ...files });
  for (const [name, script] of Object.entries({ oxlint: fakeOxlint, ...tools })) install(home.project, name, script);
  const { signal } = new AbortController();
  const analyze = (options = "", env: NodeJS.ProcessEnv = {}): ReturnType<CliHome["shim"]> =>
    home.shimWith({ interrupted: () => signal, env: { ...home.runtime.env, ...env } }, `code analyze ${options}`);
  const report = async (options = ""): Promise<Report> => Report.parse((await analyze(`--json ${options}`)).json());
  return Object.assign(home, { analyze, report });
}

function states({ tools }: Report): Record<string, string> {
  return Object.fromEntries(tools.map(({ name, status, why, findings }) => [name, why ?? `${status} ${findings}`]));
}

function newLines({ findings }: Report): string[] {
  return findings.filter(({ isNew }) => isNew).map(({ file, range }) => `${file}:${range?.line}`);
}

it("`shim code analyze` reports what the installed tools find, and names what to add @night", async () => {
  const home = anAnalysedHome();
  const out = holding(
    "src/a.js:2:1  error  no debugger  [oxlint eslint(no-debugger)]\n",
    /oxlint +9\.8\.7 +1 findings in/,
    "Not analysed: duplicates. A tool that does: npm install --save-dev fallow\n",
    "Not analysed: dead code. A tool that does: npm install --save-dev fallow\n",
    "1 errors, 0 warnings, 0 notes\n",
  );
  expect(await home.analyze()).toMatchObject({ code: 1, out });
});

it("a folder, a commit, a baseline, a tool or a time that does not exist is wrong use", async () => {
  const home = anAnalysedHome();
  await home.misuses("code analyze", [
    ["nowhere", /no folder .*nowhere/],
    ["--since HEAD --baseline x", "cannot be used with"],
    ["--baseline gone.json", "--write-baseline makes one"],
    ["--baseline .gitignore", "is no baseline"],
    ["--only oxlint,nothing", "one of tsc"],
    ["--format xml", "Allowed choices are text, json, sarif, markdown"],
    ["--time-limit soon", "Give a duration"],
  ]);
  expect(await home.analyze("--since gone")).toMatchObject(failed(2, "gone is not a commit"));
  expect(await home.analyze("../other --since HEAD")).toMatchObject(failed(2, "in no git repository"));
});

it("a link that leads out of node_modules is not started", async () => {
  const home = anAnalysedHome({ "evil.js": "require('node:fs').writeFileSync('ran', '')" });
  write(home.project, { "node_modules/fallow/package.json": '{"bin":"cli.js"}' });
  symlinkSync("../../evil.js", join(home.project, "node_modules", "fallow", "cli.js"));
  const report = await home.report("--trust --only fallow");
  expect(states(report)["fallow"]).toContain("leads out of node_modules");
  expect(existsSync(join(home.project, "ran"))).toBe(false);
});

it("a tool that crashes or prints no report is named, and the others count @night", async () => {
  const home = anAnalysedHome({ "tsconfig.json": "{}", "biome.json": "{}" });
  install(home.project, "typescript", "process.kill(process.pid, 'SIGSEGV')", "tsc");
  install(home.project, "@biomejs/biome", "console.log('not JSON'); process.exitCode = 3", "biome");
  const ran = await home.analyze("--json");
  const report = Report.parse(ran.json());
  expect(ran.code).toBe(1);
  const crashed = { tsc: "exit code 139 without a report", biome: "exit code 3: not JSON" };
  expect(states(report)).toMatchObject({ ...crashed, oxlint: "ran 1", complexity: "ran 0" });
  expect(report.findings).toHaveLength(1);
});

it("a tool that hangs is named and ended, makes the command fail, and the others count @night", async () => {
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

it("a baseline holds what is there; then only new findings fail @night", async () => {
  const home = anAnalysedHome();
  expect((await home.analyze("--only oxlint --baseline known.json --write-baseline")).code).toBe(0);
  expect((await home.analyze("--only oxlint --baseline known.json")).code).toBe(0);
  write(home.project, { "src/a.js": "// moved\nok();\ndebugger;\n", "src/b.js": "debugger;" });
  const report = await home.report("--only oxlint --baseline known.json");
  expect([newLines(report), report.totals.new]).toEqual([["src/b.js:1"], 1]);
  expect((await home.analyze("--only oxlint --baseline known.json")).code).toBe(1);
  expect((await home.analyze("--only oxlint --write-baseline")).code).toBe(0);
  expect(existsSync(join(home.project, "analysis-baseline.json"))).toBe(true);
});

it("--since: only what the commit does not have is new, through edits, moves and renames @night", async () => {
  const home = anAnalysedHome();
  expect((await home.analyze("--only oxlint --since HEAD")).code).toBe(0);
  renameSync(join(home.project, "src", "a.js"), join(home.project, "src", "renamed.js"));
  write(home.project, { "src/renamed.js": "// new\n\nok();\n  debugger;\n" });
  expect((await home.analyze("--only oxlint --since HEAD")).code).toBe(0);
  write(home.project, { "src/c.js": "ok();\ndebugger; // mine\n" });
  const report = await home.report("--only oxlint --since HEAD");
  expect([newLines(report), report.findings.length]).toEqual([["src/c.js:2"], 2]);
  git(home.project, "add", "src");
  git(home.project, "commit", "--quiet", "--message", "state");
  expect((await home.analyze("--only oxlint --since HEAD")).code).toBe(0);
  expect(newLines(await home.report("--only oxlint --since HEAD~1"))).toEqual(["src/c.js:2"]);
});

it("the repository, its index and its files stay as they are, and no filter of its settings runs @night", async () => {
  const home = anAnalysedHome({ ".gitattributes": "*.js filter=own\n" });
  git(home.project, "config", "filter.own.smudge", `touch ${join(home.folder, "filtered")}`);
  writeFileSync(join(home.project, "src", "b.js"), "debugger;");
  const state = (): string[] => [
    git(home.project, "status", "--porcelain"),
    git(home.project, "worktree", "list"),
    git(home.project, "for-each-ref"),
    readFileSync(join(home.project, ".git", "index")).toString("hex"),
  ];
  const before = state();
  await home.report("--only oxlint --since HEAD");
  expect(state()).toEqual(before);
  expect(existsSync(join(home.folder, "filtered"))).toBe(false);
});

it("Ctrl-C ends the tools, and the command with 130", async () => {
  const home = anAnalysedHome();
  const started = join(home.folder, "started");
  const begin = `require("node:fs").writeFileSync(${JSON.stringify(started)}, "");`;
  install(home.project, "fallow", `${begin} setInterval(() => {}, 50)`);
  const stop = new AbortController();
  const ran = home.shimWith({ interrupted: () => stop.signal }, "code analyze --only fallow");
  await expect.poll(() => existsSync(started), { timeout: 120_000 }).toBe(true);
  stop.abort();
  expect((await ran).code).toBe(130);
  expect(processesIn(home.project)).toEqual([]);
});

/** What this expression is in a tool. */
async function seenByTool(value: string, env: NodeJS.ProcessEnv = {}) {
  const diagnostic = `{ message: JSON.stringify(found), code: "x(y)", severity: "warning", filename: "a.js" }`;
  const oxlint = `const found = ${value}; console.log(JSON.stringify({ diagnostics: [${diagnostic}] }))`;
  const home = anAnalysedHome({}, { oxlint });
  const report = Report.parse((await home.analyze("--json --only oxlint", env)).json());
  const seen = JSON.parse(report.findings[0]?.message ?? "null") as Record<string, unknown>;
  return { home, seen, notes: report.notes };
}

it("a tool gets no variable of the user's but those that programs need, and a home of its own", async () => {
  const secret = { GITHUB_TOKEN: "ghp_x", NODE_OPTIONS: "--require ./evil.js", SHIM_TOKEN: "t", LANG: "C" };
  const { home, seen: env } = await seenByTool("process.env", secret);
  expect(Object.keys(env)).toEqual(expect.not.arrayContaining(["GITHUB_TOKEN", "SHIM_TOKEN", "SHIM_HOME"]));
  const PATH = `${dirname(process.execPath)}:${home.runtime.env["PATH"]}`;
  expect(env).toMatchObject({ LANG: "C", PATH, NODE_OPTIONS: "--max-old-space-size=4096" });
  expect(env["HOME"]).not.toBe(home.folder);
  expect(existsSync(String(env["HOME"]))).toBe(false);
});

it("a process that a tool leaves behind has ended, and no file of the run is left", async () => {
  const endless = "['-e', 'setInterval(() => {}, 1000)']";
  const child = `require('node:child_process').spawn(process.execPath, ${endless}, { stdio: 'ignore' }).unref()`;
  const { home, seen } = await seenByTool(`{ scratch: process.env.HOME, child: ${child} }`);
  expect(processesIn(home.project)).toEqual([]);
  expect(existsSync(dirname(String(seen["scratch"])))).toBe(false);
});

it("a tool that prints without end is stopped @night", async () => {
  const endless = "const text = 'x'.repeat(1e6); const more = () => process.stdout.write(text, more); more();";
  const home = anAnalysedHome({}, { fallow: endless });
  const { tools } = await home.report("--only fallow");
  expect(tools[0]?.why).toMatch(/its output has more than \d+ characters/);
});

it("a tool has no network, or the report says so @night", async () => {
  const { seen, notes } = await seenByTool("Object.keys(require('node:os').networkInterfaces())");
  expect(notes.includes("The network was NOT blocked for tools on this system.")).toBe(Object.keys(seen).length > 0);
});

it("a process above the limit of memory ends, on Linux @night", async () => {
  const home = anAnalysedHome();
  const start = (code: string) => {
    write(home.project, { "tool.cjs": code });
    const tool = { path: join(home.project, "tool.cjs"), isScript: true, version: null };
    const bounds = { memoryMb: 300, timeMs: 60_000, signal: new AbortController().signal };
    const where = { folder: home.project, scratch: home.project, env: process.env };
    return runTool({ tool, command: { args: [] }, ...where, ...bounds });
  };
  if (process.platform !== "linux") return;
  // A process of its own counts as well.
  const full = "const held = Buffer.alloc(5e8, 1); setInterval(() => held.length, 1e3);";
  const child = `require("node:child_process").spawnSync(process.execPath, ["-e", ${JSON.stringify(full)}])`;
  const error = "one of its processes used more than 300 MB of memory";
  for (const code of [full, child]) expect(await start(code)).toEqual({ ok: false, error });
  // Reserved, but never written to: as the parsers and the WebAssembly of runtimes do.
  const reserved = "const held = new WebAssembly.Memory({ initial: 30000 }); console.log(held.buffer.byteLength > 1e9)";
  expect(await start(reserved)).toMatchObject({ ok: true, value: { code: 0, stdout: "true\n" } });
});

it("tools that run the project's code need trust: by the option, or by the settings @night", async () => {
  const eslint = "require('node:fs').writeFileSync('ran', ''); console.log('[]')";
  const home = anAnalysedHome({ "eslint.config.js": "export default []" }, { eslint });
  const state = async (options = ""): Promise<string | undefined> =>
    states(await home.report(`--only eslint ${options}`))["eslint"];
  expect(await state()).toMatch(/^eslint\.config\.js .* code of the project, .* is not trusted \(--trust\)$/);
  expect(existsSync(join(home.project, "ran"))).toBe(false);
  expect(await state("--trust")).toBe("ran 0");
  const settings = (path: string): void =>
    write(home.paths.home, { "config.json": JSON.stringify({ analysis: { trusted: [path] } }) });
  settings(`${home.folder}/proj`);
  expect(await state()).toContain("not trusted");
  settings(home.folder);
  expect(await state()).toBe("ran 0");
});

it("programs of a repository that brings its node_modules need trust too", async () => {
  const home = anAnalysedHome({}, { fallow: "require('node:fs').writeFileSync('ran', '')" });
  git(home.project, "add", "--force", "node_modules/fallow/cli.js");
  git(home.project, "commit", "--quiet", "--message", "committed packages");
  expect(states(await home.report("--only fallow"))["fallow"]).toContain("the repository brings its own node_modules");
  expect(existsSync(join(home.project, "ran"))).toBe(false);
});

function workerSettings(home: CliHome, settings: string): void {
  const types = `types:\n  analyze:\n    folder: ../project\n    analyze: ${settings}\n`;
  writeFileSync(join(home.other, "worker.yaml"), types);
}

async function work(home: CliHome, payload: object): Promise<Record<string, unknown>> {
  const number = await submit(home, "analyze --payload", JSON.stringify(payload));
  await home.shim("worker --config ../other/worker.yaml --once");
  return await home.json("task show", number);
}

it("a worker does a task by an analysis: the result is a summary, the whole report a file @night", async () => {
  const home = anAnalysedHome();
  workerSettings(home, "{}");
  const { state, result } = await work(home, { only: ["oxlint"] });
  const output = result as { report: string };
  expect(state).toBe("done");
  expect(output).toMatchObject({
    totals: { error: 1, warning: 0, note: 0, new: null },
    findings: [{ tool: "oxlint", rule: "eslint(no-debugger)", file: "src/a.js", line: 2, level: "error" }],
    omitted: 0,
    tools: [{ name: "oxlint", status: "ran" }],
  });
  expect(Report.parse(JSON.parse(readFileSync(output.report, "utf8"))).findings).toHaveLength(1);
});

it("only the worker's settings give trust; a payload that is none fails for good @night", async () => {
  const evil = "require('node:fs').writeFileSync('ran', '');";
  const state = async (settings: string, payload: object): Promise<unknown> => {
    const home = anAnalysedHome({}, { knip: `${evil} console.log('{"issues":[]}')` });
    workerSettings(home, settings);
    const { state: end, reason } = await work(home, payload);
    return [end, reason];
  };
  expect(await state("{}", { only: ["knip"] })).toEqual(["dead", "failed"]);
  expect(await state("{}", { only: ["knip"], trust: true })).toEqual(["dead", "failed"]);
  expect(await state("{}", { since: "gone" })).toEqual(["dead", "failed"]);
  expect(await state("{ trust: true }", { only: ["knip"] })).toEqual(["done", null]);
});

it("uncovered mutants survived, a timeout is noticed, broken ones are invalid, ignored ones are left out", () => {
  const location = { start: { line: 2, column: 1 }, end: { line: 2, column: 2 } };
  const states = ["Ignored", "NoCoverage", "CompileError", "RuntimeError", "Pending", "Timeout", "Killed"];
  const mutants = states.map((status) => ({ mutatorName: "M", replacement: "b", status, location }));
  const counts = { killed: 1, timeout: 1, survived: 1, invalid: 2 };
  const survivors = [{ line: 2, column: 1, operator: "M", before: "a", after: "b" }];
  const text = JSON.stringify({ files: { "a.ts": { source: "x\na", mutants } } });
  expect(parseReport(text, ["a.ts"])).toMatchObject({ ok: true, value: [{ counts, survivors }] });
});

it("a folder is trusted with all below it, and none whose name begins alike", () => {
  const trusted = ["/a/proj", "/a/proj/b", "/a/project", "/a"].filter((folder) => isTrusted(folder, ["/a/proj"]));
  expect(trusted).toEqual(["/a/proj", "/a/proj/b"]);
});

it("what is no report is refused", () => {
  expect(parseReport("<html>", [])).toEqual({ ok: false, error: "Stryker's report is no JSON" });
  expect(parseReport("{}", []).ok).toBe(false);
});
