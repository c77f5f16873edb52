import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import * as z from "zod";
import type { InstalledTool, ProjectView } from "../analysis/adapter.ts";
import { objectAt, parseJson, parseObject, textAt } from "../shared/json-fields.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { openProject } from "../tool-runner/project-folder.ts";
import { runTool } from "../tool-runner/run-tool.ts";
import { sourceExtension } from "./syntax.ts";

export const TestCounts = z.object({
  /** Passed and failed. */
  ran: z.int(),
  /** Skipped, or noted for later. */
  skipped: z.int(),
});
export type TestCounts = z.infer<typeof TestCounts>;

export const Coverage = z.object({ lines: z.int(), covered: z.int() });
export type Coverage = z.infer<typeof Coverage>;

/** Command that has to succeed, beside the test framework; null: the framework alone. */
export type TestWords = readonly [string, ...string[]] | null;

export const TestState = z.object({
  passed: z.boolean(),
  /** End of the output of what failed. */
  output: z.string(),
  /** Null where the framework does not count. */
  counts: TestCounts.nullable(),
  /** Differences between two runs of the same code; null: none, or one run. */
  flaky: z.string().nullable(),
  commands: z.array(z.string()),
});

export interface MeasuredTests {
  readonly tests: z.infer<typeof TestState>;
  /** Null where it cannot be measured, for the reason in `notes`. */
  readonly coverage: Coverage | null;
  readonly testFiles: string[];
  readonly notes: readonly string[];
}

export interface TestsOptions {
  readonly folder: string;
  /** Tracked by git, relative to the folder. */
  readonly files: readonly string[];
  /** Private, for reports. */
  readonly scratch: string;
  readonly tests: TestWords;
  /** Two runs of the same code show tests that are flaky. */
  readonly runs: 1 | 2;
  /** Limit of each run. */
  readonly limitMs: number;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/** [EV3] Tests are code of the project. The error says why nothing can judge a change. */
export async function measureTests(options: TestsOptions): Promise<Result<MeasuredTests, string>> {
  const { tests: own, runs } = options;
  const project = openProject(options.folder);
  const testFiles = options.files.filter((file) => isTestFile(project, file));
  const name = frameworkName(project, testFiles);
  const counting = countingCommand(name, project, testFiles, options);
  if (!counting.ok && own === null) return err(`${counting.error}; --tests names a command`);
  const ownCommand = own && { tool: { path: own[0], isScript: false, version: null }, args: own.slice(1) };
  const counted: TestRun[] = [];
  const deciding: TestRun[] = [];
  for (let round = 0; round < runs; round++) {
    if (counting.ok) counted.push(await runOnce(counting.value, options));
    if (ownCommand) deciding.push(await runOnce(ownCommand, options));
  }
  const decided = ownCommand ? deciding : counted;
  const failed = decided.find(({ hasPassed }) => !hasPassed);
  const { counts = null, coverage = null } = counted.at(-1) ?? {};
  const commands = [...(counting.ok ? [counting.value] : []), ...(ownCommand ? [ownCommand] : [])];
  return ok({
    tests: {
      passed: failed === undefined,
      output: failed ? describeFailure(failed, counted) : "",
      counts,
      flaky: describeFlaky(decided, counted),
      commands: commands.map(({ tool, args }) => [tool.path, ...args].join(" ")),
    },
    coverage,
    testFiles,
    notes: coverage ? [] : [coverageNote(name, testFiles.length)],
  });
}

const frameworks = ["vitest", "jest", "mocha", "node:test"] as const;
type FrameworkName = (typeof frameworks)[number];

const testName = /(?:[.\-_](?:test|spec)|(?:^|\/)test)\.[cm]?[jt]sx?$/;
const testFolder = /(?:^|\/)(?:tests?|specs?|__tests__)\//;
const ignoredFolder = /(?:^|\/)(?:\.[^/]*|node_modules|dist|build|coverage|fixtures)\//;

function isTestFile(project: ProjectView, file: string): boolean {
  if (!sourceExtension.test(file) || file.endsWith(".d.ts") || ignoredFolder.test(file)) return false;
  if (testName.test(file)) return true;
  return testFolder.test(file) && /^[ \t]*(?:test|it|describe)(?:\.\w+)*\(/m.test(project.read(file) ?? "");
}

const importOf: Readonly<Record<FrameworkName, RegExp>> = {
  vitest: /["']vitest["']/,
  jest: /["']@jest\/globals["']/,
  mocha: /["']mocha["']/,
  "node:test": /["']node:test["']/,
};

/** Other frameworks give their suites a global of this name, too. */
const jestGlobal = /\bjest\.(?:fn|mock|spyOn)\(/;

/** [EV20] From imports of the test files, the test script, the global of jest, the packages. */
export function frameworkName(project: ProjectView, testFiles: readonly string[]): FrameworkName | null {
  const texts = testFiles.map((file) => project.read(file) ?? "");
  const counts = frameworks.map((name) => texts.filter((text) => importOf[name].test(text)).length);
  const most = Math.max(...counts);
  if (most > 0) return frameworks[counts.indexOf(most)] ?? null;
  const script = testScript(project);
  const inScript = frameworks.find((name) => script.split(/\W/).includes(name));
  if (inScript !== undefined) return inScript;
  if (/\bnode\b/.test(script) && /\s--test\b/.test(script)) return "node:test";
  if (texts.some((text) => jestGlobal.test(text))) return "jest";
  const manifest = parseObject(project.read("package.json") ?? "");
  const packages = { ...objectAt(manifest, "dependencies"), ...objectAt(manifest, "devDependencies") };
  return frameworks.find((name) => Object.hasOwn(packages, name)) ?? null;
}

function testScript(project: ProjectView): string {
  return textAt(objectAt(parseObject(project.read("package.json") ?? ""), "scripts"), "test") ?? "";
}

interface TestCommand {
  readonly tool: InstalledTool;
  readonly args: readonly string[];
}

/** Adds what makes a framework write its counts and its coverage, without thresholds. */
export function countingCommand(
  name: FrameworkName | null,
  project: ProjectView,
  testFiles: readonly string[],
  { scratch }: Pick<TestsOptions, "scratch">,
): Result<TestCommand, string> {
  if (name === null) return err("no test framework was found: vitest, jest, mocha or node:test");
  const node = { path: process.execPath, isScript: false, version: null };
  const tool = name === "node:test" ? node : project.findTool(name, name);
  if (tool === null) return err(`${name} is not installed in the project: npm install`);
  if (typeof tool === "string") return err(tool);
  const counts = join(scratch, countsFile);
  const flags = scriptFlags(testScript(project));
  switch (name) {
    case "node:test": {
      const reporters = [
        reporter("lcov", join(scratch, coverageFile)),
        reporter("tap", counts),
        reporter("spec", "stdout"),
      ];
      return ok({
        tool,
        args: ["--experimental-test-coverage", ...reporters.flat(), ...flags, "--test", ...testFiles],
      });
    }
    case "vitest": {
      const shown = ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${counts}`];
      const hasCoverage = hasModule(project.root, "@vitest/coverage-v8", "@vitest/coverage-istanbul");
      const noLimits = ["lines", "functions", "branches", "statements"].map((one) => `--coverage.thresholds.${one}=0`);
      const coverage = ["--coverage.enabled", "--coverage.reporter=lcovonly", `--coverage.reportsDirectory=${scratch}`];
      return ok({ tool, args: [...shown, ...(hasCoverage ? [...coverage, ...noLimits] : [])] });
    }
    case "jest": {
      const coverage = ["--coverage", "--coverageReporters=lcovonly", `--coverageDirectory=${scratch}`];
      return ok({ tool, args: ["--ci", ...coverage, "--json", `--outputFile=${counts}`, "--coverageThreshold={}"] });
    }
    case "mocha":
      return ok({
        tool,
        args: [...flags, ...testFiles, "--reporter", "json", "--reporter-option", `output=${counts}`],
      });
  }
}

const countsFile = "counts";
const coverageFile = "lcov.info";

function reporter(name: string, destination: string): string[] {
  return [`--test-reporter=${name}`, `--test-reporter-destination=${destination}`];
}

const loaderFlag = /^(?:-r|--require|--import|--loader|--experimental-[\w-]+|--conditions|-C|--ui|-u|--config)(=.*)?$/;
const flagsWithValue = /^(?:-r|--require|--import|--loader|--experimental-loader|--conditions|-C|--ui|-u|--config)$/;

/** Flags of the test script that say how its files are loaded. */
function scriptFlags(script: string): string[] {
  const words = script.split(/\s+/).map((word) => word.replaceAll(/^["']|["']$/g, ""));
  return words.flatMap((word, index) => {
    if (!loaderFlag.test(word)) return [];
    const value = words[index + 1];
    return flagsWithValue.test(word) && value !== undefined ? [word, value] : [word];
  });
}

function hasModule(from: string, ...names: readonly string[]): boolean {
  for (let folder = from; ; folder = dirname(folder)) {
    if (names.some((name) => existsSync(join(folder, "node_modules", name)))) return true;
    if (folder === dirname(folder)) return false;
  }
}

function coverageNote(name: FrameworkName | null, testFiles: number): string {
  if (name === null) return "The coverage is not measured: no test framework was found.";
  const needs = { vitest: "@vitest/coverage-v8", jest: "jest", mocha: "c8", "node:test": "Node 22" } as const;
  return `The coverage is not measured: ${name} gave none for ${testFiles} test files (${needs[name]}).`;
}

interface TestRun {
  readonly hasPassed: boolean;
  /** Why it ended otherwise, or the end of what it printed. */
  readonly output: string;
  readonly counts: TestCounts | null;
  readonly failed: readonly string[];
  readonly coverage: Coverage | null;
}

const maxOutputChars = 500;

async function runOnce({ tool, args }: TestCommand, options: TestsOptions): Promise<TestRun> {
  const { folder, scratch: reports, limitMs: timeMs, env, signal } = options;
  const scratch = mkdtempSync(join(tmpdir(), "shim-tests-"));
  const read = (name: string): string => {
    const path = join(reports, name);
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  };
  try {
    const limits = { hasLoopback: true, timeMs, signal };
    const result = await runTool({ tool, command: { args }, folder, scratch, env, ...limits });
    const text = result.ok ? `${result.value.stdout}${result.value.stderr}`.slice(-maxOutputChars) : result.error;
    return {
      hasPassed: result.ok && result.value.code === 0,
      output: text.trim(),
      counts: parseCounts(read(countsFile)),
      failed: failedTests(read(countsFile)),
      coverage: parseLcov(read(coverageFile)),
    };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const maxNamed = 5;

/** Names of tests first, where the framework gave them. */
function describeFailure({ output }: TestRun, counted: readonly TestRun[]): string {
  const names = [...new Set(counted.flatMap(({ failed }) => failed))];
  return `${names.length > 0 ? `${names.slice(0, maxNamed).join("; ")}. ` : ""}${output}`;
}

function describeFlaky(decided: readonly TestRun[], counted: readonly TestRun[]): string | null {
  const failed = decided.find(({ hasPassed }) => !hasPassed);
  if (failed && decided.some(({ hasPassed }) => hasPassed))
    return `in one of two runs of the same code: ${describeFailure(failed, counted)}`;
  const counts = new Set(counted.map((one) => JSON.stringify(one.counts)));
  return counts.size > 1 ? "two runs of the same code ran different numbers of tests" : null;
}

/** Parses LCOV: `LF` and `LH` of all files. */
export function parseLcov(text: string): Coverage | null {
  const sum = (name: string): number =>
    [...text.matchAll(/^(LF|LH):(\d+)$/gm)].reduce((total, [, of, n]) => total + (of === name ? Number(n) : 0), 0);
  const lines = sum("LF");
  return lines === 0 ? null : { lines, covered: sum("LH") };
}

const JestReport = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  numPendingTests: z.int().default(0),
  numTodoTests: z.int().default(0),
  testResults: z
    .array(z.object({ assertionResults: z.array(z.object({ status: z.string(), fullName: z.string() })) }))
    .default([]),
});

const MochaReport = z.object({
  stats: z.object({ passes: z.int(), failures: z.int(), pending: z.int() }),
  failures: z.array(z.object({ fullTitle: z.string() })).default([]),
});

/** Parses the JSON reports of vitest, jest and mocha, or what node:test prints as TAP. */
export function parseCounts(text: string): TestCounts | null {
  const value = parseJson(text);
  const jest = JestReport.safeParse(value).data;
  if (jest)
    return { ran: jest.numPassedTests + jest.numFailedTests, skipped: jest.numPendingTests + jest.numTodoTests };
  const mocha = MochaReport.safeParse(value).data?.stats;
  if (mocha) return { ran: mocha.passes + mocha.failures, skipped: mocha.pending };
  const counts = new Map([...text.matchAll(/^# (\w+) (\d+)$/gm)].map(([, name, n]) => [name, Number(n)]));
  const [passed, failed] = [counts.get("pass"), counts.get("fail")];
  if (passed === undefined || failed === undefined) return null;
  return { ran: passed + failed, skipped: (counts.get("skipped") ?? 0) + (counts.get("todo") ?? 0) };
}

/** Names of the tests that failed, from any of these reports. */
function failedTests(text: string): string[] {
  const lines = [...text.matchAll(/^[ \t]*not ok \d+ - (.+?)(?: # .*)?$/gm)].map(([, name = ""]) => name);
  if (lines.length > 0) return lines;
  const value = parseJson(text);
  const suites = JestReport.safeParse(value).data?.testResults ?? [];
  const failed = suites.flatMap((one) => one.assertionResults).filter(({ status }) => status === "failed");
  const mocha = MochaReport.safeParse(value).data?.failures ?? [];
  return [...failed.map(({ fullName }) => fullName), ...mocha.map(({ fullTitle }) => fullTitle)];
}
