import { existsSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join, dirname } from "node:path";
import { expect, it } from "vitest";
import { parseReport, type FileMutants } from "#src/code/analysis/mutants.ts";
import { Report } from "#src/code/analysis/report.ts";
import { runTool } from "#src/code/tool-runner/run-tool.ts";
import { analyze, anAnalysedProject, commit, install, reportOf, states } from "#harness/analysis/project.ts";
import { aCliHome, failed, holding, type CliHome } from "#harness/machine/cli-home.ts";
import { git, write } from "#harness/machine/git-project.ts";
import { processesIn } from "#harness/machine/process-tree.ts";
import { submit } from "#harness/worker/worker-rig.ts";

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

const reporting = (value: string): string =>
  `const found = ${value}; console.log(JSON.stringify({ diagnostics: [{ message: JSON.stringify(found), code: "x(y)", severity: "warning", filename: "a.js" }] }))`;

async function seenByTool(home: CliHome, value: string, env: NodeJS.ProcessEnv = {}): Promise<Record<string, unknown>> {
  install(home.project, "oxlint", reporting(value));
  const ran = await analyze(home, "--json --only oxlint", env);
  return JSON.parse(Report.parse(ran.json()).findings[0]?.message ?? "null") as Record<string, unknown>;
}

it("a tool gets no variable of the user's but those that programs need, and a home of its own", async () => {
  const home = aCliHome();
  const secret = { GITHUB_TOKEN: "ghp_x", NODE_OPTIONS: "--require ./evil.js", SHIM_TOKEN: "t", LANG: "C" };
  const env = await seenByTool(home, "process.env", secret);
  expect(Object.keys(env)).toEqual(expect.not.arrayContaining(["GITHUB_TOKEN", "SHIM_TOKEN", "SHIM_HOME"]));
  expect(env).toMatchObject({
    LANG: "C",
    PATH: `${dirname(process.execPath)}:${home.runtime.env["PATH"]}`,
    NODE_OPTIONS: "--max-old-space-size=4096",
  });
  expect(env["HOME"]).not.toBe(home.folder);
  expect(existsSync(String(env["HOME"]))).toBe(false);
});

it("a process that a tool leaves behind has ended, and no file of the run is left", async () => {
  const home = aCliHome();
  const child =
    "require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })";
  const { scratch } = await seenByTool(home, `{ scratch: process.env.HOME, child: ${child}.unref() }`);
  expect(processesIn(home.project)).toEqual([]);
  expect(existsSync(dirname(String(scratch)))).toBe(false);
});

it("a tool that prints without end is stopped @night", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home);
  const endless = "const text = 'x'.repeat(1e6); const more = () => process.stdout.write(text, more); more();";
  install(folder, "fallow", endless);
  const { tools } = await reportOf(home, "--only fallow");
  expect(tools[0]?.why).toMatch(/its output has more than \d+ characters/);
});

it("a tool has no network, or the report says so @night", async () => {
  const home = aCliHome();
  const { notes } = await reportOf(home);
  const names = await seenByTool(home, "Object.keys(require('node:os').networkInterfaces())");
  expect(notes.includes("The network was NOT blocked for tools on this system.")).toBe(Object.keys(names).length > 0);
});

it("a process above the limit of memory ends, on Linux @night", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home);
  const start = async (code: string, memoryMb: number): Promise<Awaited<ReturnType<typeof runTool>>> => {
    write(folder, { "tool.cjs": code });
    const tool = { path: join(folder, "tool.cjs"), isScript: true, version: null };
    const { signal } = new AbortController();
    const bounds = { memoryMb, timeMs: 60_000, signal };
    return runTool({ tool, command: { args: [] }, folder, scratch: folder, env: process.env, ...bounds });
  };
  if (process.platform !== "linux") return;
  // A process of its own counts as well.
  const full = "const held = Buffer.alloc(5e8, 1); setInterval(() => held.length, 1e3);";
  const child = `require("node:child_process").spawnSync(process.execPath, ["-e", ${JSON.stringify(full)}])`;
  for (const code of [full, child])
    expect(await start(code, 300)).toEqual({
      ok: false,
      error: "one of its processes used more than 300 MB of memory",
    });
  // Reserved, but never written to: as the parsers and the WebAssembly of runtimes do.
  const reserved = "const held = new WebAssembly.Memory({ initial: 30000 }); console.log(held.buffer.byteLength > 1e9)";
  expect(await start(reserved, 300)).toMatchObject({ ok: true, value: { code: 0, stdout: "true\n" } });
});

it("tools that run the project's code need trust: by the option, or by the settings @night", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home, { "eslint.config.js": "export default []" });
  install(folder, "eslint", "require('node:fs').writeFileSync('ran', ''); console.log('[]')");
  const state = async (options = ""): Promise<string | undefined> =>
    states(await reportOf(home, `--only eslint ${options}`))["eslint"];
  expect(await state()).toBe(
    "eslint.config.js and the plugins in it are code of the project, and the project is not trusted (--trust)",
  );
  expect(existsSync(join(folder, "ran"))).toBe(false);
  expect(await state("--trust")).toBe("ran 0");
  const settings = (path: string): void =>
    write(home.paths.home, { "config.json": JSON.stringify({ analysis: { trusted: [path] } }) });
  settings(`${home.folder}/proj`);
  expect(await state()).toContain("not trusted");
  settings(home.folder);
  expect(await state()).toBe("ran 0");
});

it("programs of a repository that brings its node_modules need trust too", async () => {
  const home = aCliHome();
  const folder = anAnalysedProject(home);
  install(folder, "fallow", "require('node:fs').writeFileSync('ran', '')");
  git(folder, "add", "--force", "node_modules/fallow/cli.js");
  git(folder, "commit", "--quiet", "--message", "committed packages");
  expect(states(await reportOf(home, "--only fallow"))["fallow"]).toContain(
    "the repository brings its own node_modules",
  );
  expect(existsSync(join(folder, "ran"))).toBe(false);
});

function aHome(settings = "{}"): CliHome {
  const home = aCliHome();
  home.alive.add(process.pid);
  anAnalysedProject(home);
  writeFileSync(
    join(home.other, "worker.yaml"),
    `types:\n  analyze:\n    folder: ../project\n    analyze: ${settings}\n`,
  );
  return home;
}

async function work(home: CliHome, payload: object): Promise<Record<string, unknown>> {
  const number = await submit(home, "analyze --payload", JSON.stringify(payload));
  await home.shim("worker --config ../other/worker.yaml --once");
  return await home.json("task show", number);
}

it("a worker does a task by an analysis: the result is a summary, the whole report a file @night", async () => {
  const home = aHome();
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
    const home = aHome(settings);
    install(home.project, "knip", `${evil} console.log('{"issues":[]}')`);
    const { state: end, reason } = await work(home, payload);
    return [end, reason];
  };
  expect(await state("{}", { only: ["knip"] })).toEqual(["dead", "failed"]);
  expect(await state("{}", { only: ["knip"], trust: true })).toEqual(["dead", "failed"]);
  expect(await state("{}", { since: "gone" })).toEqual(["dead", "failed"]);
  expect(await state("{ trust: true }", { only: ["knip"] })).toEqual(["done", null]);
});

function read(text: string, file: string): FileMutants {
  const found = parseReport(text, [file]);
  if (!found.ok || !found.value[0]) throw new Error("it is a report");
  return found.value[0];
}

it("uncovered mutants survived, a timeout is noticed, broken ones are invalid, ignored ones are left out", () => {
  const location = { start: { line: 2, column: 1 }, end: { line: 2, column: 2 } };
  const states = ["Ignored", "NoCoverage", "CompileError", "RuntimeError", "Pending", "Timeout", "Killed"];
  const mutants = states.map((status) => ({ mutatorName: "M", replacement: "b", status, location }));
  const { counts, survivors } = read(JSON.stringify({ files: { "a.ts": { source: "x\na", mutants } } }), "a.ts");
  expect(counts).toEqual({ killed: 1, timeout: 1, survived: 1, invalid: 2 });
  expect(survivors).toEqual([{ line: 2, column: 1, operator: "M", before: "a", after: "b" }]);
});

it("what is no report is refused", () => {
  expect(parseReport("<html>", [])).toEqual({ ok: false, error: "Stryker's report is no JSON" });
  expect(parseReport("{}", []).ok).toBe(false);
});
