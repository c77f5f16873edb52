import { chmodSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { Report } from "#src/code/analysis/report.ts";
import { git, write } from "#harness/machine/git-project.ts";
import type { CliHome } from "#harness/machine/cli-home.ts";

/** Installs a program the way npm does: a package, and a link in `.bin`. @param script of Node; its arguments begin at `process.argv[2]` */
export function install(folder: string, name: string, script: string, program = name): void {
  const home = join(folder, "node_modules", name);
  write(home, {
    "package.json": JSON.stringify({ name, version: "9.8.7", bin: { [program]: "cli.js" } }),
    "cli.js": `#!/usr/bin/env node\n${script}`,
  });
  chmodSync(join(home, "cli.js"), 0o755);
  const bin = join(folder, "node_modules", ".bin");
  mkdirSync(bin, { recursive: true });
  rmSync(join(bin, program), { force: true });
  symlinkSync(join("..", name, "cli.js"), join(bin, program));
}

/** Reports the word `debugger` in files of `src` as oxlint would; the complexity run finds nothing. */
const fakeOxlint = `
const fs = require("node:fs");
const own = process.argv.some((word) => word.includes("complexity.json"));
const files = own || !fs.existsSync("src") ? [] : fs.readdirSync("src");
const diagnostics = files.flatMap((name) =>
  fs.readFileSync("src/" + name, "utf8").split("\\n").flatMap((text, at) => {
    const span = { offset: 0, length: 0, line: at + 1, column: 1 };
    return text.includes("debugger")
      ? [{ message: "no debugger", code: "eslint(no-debugger)", severity: "error", filename: "src/" + name, labels: [{ span }] }]
      : [];
  }),
);
console.log(JSON.stringify({ diagnostics }));
process.exitCode = diagnostics.length > 0 ? 1 : 0;
`;

/** The home's project with one finding of oxlint, in a repository whose node_modules is ignored. */
export function anAnalysedProject(home: CliHome, files: Record<string, string> = {}): string {
  const folder = home.project;
  install(folder, "oxlint", fakeOxlint);
  write(folder, { ".gitignore": "node_modules\n", "src/a.js": "ok();\ndebugger;\n", ...files });
  git(folder, "init", "--quiet");
  commit(folder);
  return folder;
}

export function analyze(home: CliHome, options = "", env: NodeJS.ProcessEnv = {}): ReturnType<CliHome["shim"]> {
  const { signal } = new AbortController();
  return home.shimWith({ interrupted: () => signal, env: { ...home.runtime.env, ...env } }, `code analyze ${options}`);
}

export function commit(folder: string): void {
  git(folder, "add", "--all");
  git(folder, "commit", "--quiet", "--message", "state");
}

export async function reportOf(home: CliHome, options = ""): Promise<Report> {
  return Report.parse((await analyze(home, `--json ${options}`)).json());
}

export function states({ tools }: Report): Record<string, string> {
  return Object.fromEntries(tools.map(({ name, status, why, findings }) => [name, why ?? `${status} ${findings}`]));
}
