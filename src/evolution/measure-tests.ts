import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { findFramework, frameworkName, type Framework, type FrameworkName } from "../mutation/framework.ts";
import { readProject, type Project } from "../mutation/project.ts";
import type { RunTests, TestCommand, TestOutcome } from "../mutation/run-tests.ts";
import { openProject } from "../tool-runner/project-folder.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { TestWords } from "./candidate.ts";
import {
  failedTests,
  parseLcov,
  parseTap,
  parseTestReport,
  type Coverage,
  type Measured,
  type TestCounts,
} from "./measured.ts";

export interface TestsOptions {
  readonly folder: string;
  /** Private, for reports. */
  readonly scratch: string;
  readonly tests: TestWords;
  /** Two runs of the same code show tests that are flaky. */
  readonly runs: 1 | 2;
  /** Limit of each tool and of each run of the tests. */
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

export type MeasuredTests = Pick<Measured, "tests" | "coverage" | "testFiles" | "notes">;

interface TestRunResult {
  readonly outcome: TestOutcome;
  readonly counts: TestCounts | null;
  readonly failed: readonly string[];
  readonly coverage: Coverage | null;
}

const node = { path: process.execPath, isScript: false, version: null };

/** The error says why nothing can judge a change. */
export async function measureTests(runTests: RunTests, options: TestsOptions): Promise<Result<MeasuredTests, string>> {
  const { tests } = options;
  const project = readProject(openProject(options.folder));
  const framework = findFramework(project, node);
  if (!framework.ok && tests === null) return err(`${framework.error}; --tests names a command`);
  const counting = framework.ok ? toCounting(framework.value, options) : null;
  const own = tests && toCommand(tests);
  const { results, outcomes } = await runAll(runTests, options, counting, own);
  const commands = [counting?.command ?? [], own ?? []].flat();
  return ok(toMeasured(project, { results, outcomes }, commands));
}

function toMeasured(
  project: Project,
  { results, outcomes }: TestRuns,
  commands: readonly TestCommand[],
): MeasuredTests {
  const { counts = null, coverage = null } = results.at(-1) ?? {};
  return {
    tests: {
      ...judgeOutcomes(outcomes, results),
      counts,
      commands: commands.map(({ tool, args }) => [tool.path, ...args].join(" ")),
    },
    coverage,
    testFiles: [...project.testFiles],
    notes: coverageNotes(frameworkName(project), coverage, project),
  };
}

interface TestRuns {
  readonly results: readonly TestRunResult[];
  /** Result of the command that decides. */
  readonly outcomes: readonly TestOutcome[];
}

async function runAll(
  runTests: RunTests,
  options: TestsOptions,
  counting: Counting | null,
  own: TestCommand | null,
): Promise<TestRuns> {
  const results: TestRunResult[] = [];
  const outcomes: TestOutcome[] = [];
  for (let round = 0; round < options.runs; round++) {
    if (counting) results.push(await runOnce(runTests, counting, options));
    if (own) outcomes.push(await start(runTests, own, options));
  }
  return { results, outcomes: own ? outcomes : results.map(({ outcome }) => outcome) };
}

function judgeOutcomes(
  outcomes: readonly TestOutcome[],
  results: readonly TestRunResult[],
): Pick<Measured["tests"], "passed" | "output" | "flaky"> {
  const failed = outcomes.find(({ kind }) => kind !== "passed");
  return {
    passed: failed === undefined,
    output: failed ? describeFailure(failed, results) : "",
    flaky: describeFlaky(outcomes, results),
  };
}

function toCommand([program, ...args]: readonly [string, ...string[]]): TestCommand {
  return { tool: { path: program, isScript: false, version: null }, args };
}

function describeFlaky(outcomes: readonly TestOutcome[], results: readonly TestRunResult[]): string | null {
  const kinds = new Set(outcomes.map(({ kind }) => kind));
  if (kinds.size > 1) {
    const failed = outcomes.find(({ kind }) => kind !== "passed");
    return `in one of two runs of the same code: ${failed ? describeFailure(failed, results) : ""}`;
  }
  const counts = new Set(results.map((one) => JSON.stringify(one.counts)));
  return counts.size > 1 ? "two runs of the same code ran different numbers of tests" : null;
}

const maxOutputChars = 500;
const maxNamed = 5;

/** Names of tests first, where the framework gave them. */
function describeFailure({ kind, output }: TestOutcome, results: readonly TestRunResult[]): string {
  const names = [...new Set(results.flatMap(({ failed }) => failed))];
  const named = names.length > 0 ? `${names.slice(0, maxNamed).join("; ")}. ` : "";
  return `${kind === "failed" ? "" : `${kind}. `}${named}${output.slice(-maxOutputChars).trim()}`;
}

function coverageNotes(name: FrameworkName | null, coverage: Coverage | null, { testFiles }: Project): string[] {
  if (coverage) return [];
  if (name === null) return ["The coverage is not measured: no test framework was found."];
  const needs = { vitest: "@vitest/coverage-v8", jest: "jest", mocha: "c8", "node:test": "Node 22" } as const;
  return [`The coverage is not measured: ${name} gave none for ${testFiles.length} test files (${needs[name]}).`];
}

interface Counting {
  readonly command: TestCommand;
  readonly reports: { readonly counts: string; readonly lcov: string };
  readonly parse: (text: string) => TestCounts | null;
}

/** Adds what makes a framework write its counts and its coverage, without thresholds. */
function toCounting(framework: Framework, { scratch, folder }: TestsOptions): Counting {
  const { tool, args } = framework.all;
  const lcov = join(scratch, "lcov.info");
  const counts = join(scratch, "counts");
  const reports = { counts, lcov };
  switch (framework.name) {
    case "node:test": {
      const coverage = ["--experimental-test-coverage", ...reporter("lcov", lcov), ...reporter("tap", counts)];
      const shown = reporter("spec", "stdout");
      return { command: { tool, args: [...coverage, ...shown, ...args] }, reports, parse: parseTap };
    }
    case "vitest": {
      const shown = ["--reporter=default", "--reporter=json", `--outputFile.json=${counts}`];
      const coverage = hasModule(folder, "@vitest/coverage-v8", "@vitest/coverage-istanbul")
        ? ["--coverage.enabled", "--coverage.reporter=lcovonly", `--coverage.reportsDirectory=${scratch}`, ...noLimits]
        : [];
      return { command: { tool, args: [...args, ...shown, ...coverage] }, reports, parse: parseTestReport };
    }
    case "jest": {
      const coverage = ["--coverage", "--coverageReporters=lcovonly", `--coverageDirectory=${scratch}`];
      const shown = ["--json", `--outputFile=${counts}`, "--coverageThreshold={}"];
      return { command: { tool, args: [...args, ...coverage, ...shown] }, reports, parse: parseTestReport };
    }
    case "mocha": {
      const shown = ["--reporter", "json", "--reporter-option", `output=${counts}`];
      return { command: { tool, args: [...args, ...shown] }, reports, parse: parseTestReport };
    }
  }
}

const noLimits = ["lines", "functions", "branches", "statements"].map((name) => `--coverage.thresholds.${name}=0`);

function reporter(name: string, destination: string): string[] {
  return [`--test-reporter=${name}`, `--test-reporter-destination=${destination}`];
}

function hasModule(from: string, ...names: readonly string[]): boolean {
  for (let folder = from; ; folder = dirname(folder)) {
    if (names.some((name) => existsSync(join(folder, "node_modules", name)))) return true;
    if (folder === dirname(folder)) return false;
  }
}

async function runOnce(runTests: RunTests, counting: Counting, options: TestsOptions): Promise<TestRunResult> {
  const outcome = await start(runTests, counting.command, options);
  const { counts, lcov } = counting.reports;
  const text = readOr(counts);
  return { outcome, counts: counting.parse(text), failed: failedTests(text), coverage: parseLcov(readOr(lcov)) };
}

function start(
  runTests: RunTests,
  command: TestCommand,
  { folder, limitMs, signal }: TestsOptions,
): Promise<TestOutcome> {
  return runTests(command, { folder, limitMs, signal });
}

function readOr(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}
