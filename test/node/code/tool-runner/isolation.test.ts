import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { Report } from "#src/code/analysis/report.ts";
import { analyze, anAnalysedProject, install, reportOf, states } from "#harness/analysis/project.ts";
import { aCliHome, type CliHome } from "#harness/machine/cli-home.ts";
import { runTool } from "#src/code/tool-runner/run-tool.ts";
import { git, write } from "#harness/machine/git-project.ts";
import { processesIn } from "#harness/machine/process-tree.ts";

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
