import { spawnSync } from "node:child_process";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Report } from "#src/code/analysis/report.ts";
import { sampleFiles } from "#harness/analysis/recorded.ts";
import { git, temporaryFolder, write } from "#harness/machine/git-project.ts";

const root = join(import.meta.dirname, "..", "..");
const modules = join(root, "node_modules");

function run(folder: string, program: string, ...args: string[]): { code: number | null; out: string } {
  const env = { ...process.env, SHIM_HOME: join(folder, "..", "shim") };
  const { status, stdout } = spawnSync(process.execPath, [join(root, program), ...args], {
    cwd: folder,
    env,
    encoding: "utf8",
  });
  return { code: status, out: stdout };
}

function analyze(folder: string, ...options: string[]): { code: number | null; report: Report } {
  const { code, out } = run(folder, "bin/shim.mjs", "code", "analyze", "--trust", "--json", ...options);
  return { code, report: Report.parse(JSON.parse(out)) };
}

/** The recorded project, with the packages of this repository. */
function aProject(): string {
  const folder = join(temporaryFolder(), "project");
  write(folder, sampleFiles);
  symlinkSync(modules, join(folder, "node_modules"));
  write(folder, { ".gitignore": "node_modules\n" });
  git(folder, "init", "--quiet");
  git(folder, "add", "--all");
  git(folder, "commit", "--quiet", "--message", "first");
  return folder;
}

it("real tools find through `shim code analyze` what each finds by itself @night", () => {
  const folder = aProject();
  const { code, report } = analyze(folder);
  const ran = Object.fromEntries(
    report.tools.filter(({ status }) => status === "ran").map(({ name, findings }) => [name, findings]),
  );
  const tsc = run(folder, "node_modules/typescript/bin/tsc", "--noEmit", "--pretty", "false").out.match(/ error TS/g);
  const oxlint = JSON.parse(run(folder, "node_modules/oxlint/bin/oxlint", "-f", "json").out) as { diagnostics: [] };
  expect(code).toBe(1);
  expect(ran).toMatchObject({ tsc: tsc?.length, oxlint: oxlint.diagnostics.length, complexity: 2, knip: 9 });
  const rules = report.findings.map(({ tool, rule, others = [] }) => [rule, ...others.map((one) => one.rule), tool][0]);
  expect(rules).toEqual(expect.arrayContaining(["TS2307", "eslint(no-debugger)", "complexity", "exports", "files"]));
  expect(report.findings.find(({ rule }) => rule === "code-duplication")).toMatchObject({ file: "src/copy-one.ts" });
  expect(git(folder, "status", "--porcelain")).toBe("");
});

it("real tools on a commit: a dead export and a type error in a file that was not touched are new @night", () => {
  const folder = aProject();
  const untouched = {
    "src/uses.ts": 'import { area } from "./shapes.ts";\nexport const half: number = area(1) / 2;\n',
  };
  write(folder, {
    ...untouched,
    "src/index.ts": 'import { half } from "./uses.ts";\nimport { grade } from "./shapes.ts";\ngrade(half, 1, true);\n',
  });
  git(folder, "add", "--all");
  git(folder, "commit", "--quiet", "--message", "second");
  expect(analyze(folder, "--since", "HEAD", "--only", "tsc,oxlint,fallow").code).toBe(0);
  const shapes = (sampleFiles["src/shapes.ts"] ?? "").replace("(radius: number): number", "(radius: number): string");
  write(folder, {
    "src/shapes.ts": shapes.replace("return Math.PI * radius * radius", "return String(radius)"),
    "src/index.ts": 'import { half } from "./uses.ts";\nexport default half;\n',
  });
  const { code, report } = analyze(folder, "--since", "HEAD", "--only", "tsc,fallow");
  const news = report.findings
    .filter(({ isNew }) => isNew)
    .map(({ file, rule, symbol }) => `${file} ${rule} ${symbol}`);
  expect(code).toBe(1);
  expect(news).toEqual(["src/shapes.ts unused-export grade", "src/uses.ts TS2362 undefined"]);
});
