import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { tsc } from "../analysis/adapters/adapters.ts";
import type { Report, ToolRun } from "../analysis/report.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { displayPath, rawList } from "../../snapshots/git.ts";
import { analyze } from "../tool-runner/analyze.ts";
import { openProject } from "../tool-runner/project-folder.ts";
import { runTests, testScript, type Tests, defaultTimeMs, runTool } from "../tool-runner/run-tool.ts";
import { inCommit, type RepositoryProject } from "../tool-runner/worktree.ts";
import type { WorkDeps } from "../../runner/worker/machine-deps.ts";
import { sourceExtension } from "./candidate.ts";

/** One commit of a project, as the judge compares it. */
export interface Measured extends Pick<Report, "findings"> {
  readonly tools: readonly Pick<ToolRun, "name" | "status" | "why">[];
  readonly commit: string;
  readonly tests: {
    /** End of their output; null: they passed each time. */
    readonly failure: string | null;
    /** Two runs of the same code ended differently. */
    readonly isFlaky: boolean;
    /** Time of the longest run. */
    readonly ms: number;
  };
  /** Declarations; null where they cannot be made, for the reason in `notes`. */
  readonly api: readonly string[] | null;
  readonly testFiles: readonly string[];
  readonly notes: readonly string[];
}

export interface MeasureDeps extends WorkDeps {
  readonly monotonic: () => number;
}

/** Why tests judge nothing. */
export const unstable = "the project's tests do not give the same answer twice";

/** Limit of each tool that changes code, and of each run of the tests, in ms. */
export const limitMs = 1_800_000;

interface MeasureRequest {
  readonly commit: string;
  /** Command; null: `npm test`. */
  readonly tests: Tests | null;
  /** Least number of runs of the tests. A first one that fails is followed by another. */
  readonly runs: 1 | 2;
  readonly signal: AbortSignal;
}

/** Runs the project's tools and tests on a commit, in a throwaway worktree. */
export async function measure(
  deps: MeasureDeps,
  project: RepositoryProject,
  { commit, tests: given, runs, signal }: MeasureRequest,
): Promise<Result<Measured, string>> {
  return inCommit(deps, project, { commit, signal }, async (folder, worktree) => {
    const tests = given ?? testScript(folder);
    if (tests === null) return err("there is no script for tests in package.json; --tests names a command");
    const report = await analyze({ ...deps, folder, signal });
    if (!report.ok) return report;
    const below = project.prefix === "" ? "" : `${project.prefix}/`;
    const tracked = (await rawList(worktree.git(signal), ["ls-files", "-z"])).map(displayPath);
    const files = tracked.filter((path) => path.startsWith(below)).map((path) => path.slice(below.length));
    const failures: string[] = [];
    let ms = 0;
    let rounds = 0;
    for (; rounds < runs || (rounds < 2 && failures.length === rounds); rounds++) {
      const since = deps.monotonic();
      const done = await runTests(tests, { folder, env: deps.env, timeMs: limitMs, signal });
      ms = Math.max(ms, deps.monotonic() - since);
      if (!done.ok) failures.push(done.error);
    }
    const [failure = null] = failures;
    const api = await declarations(folder, worktree.folder, deps.env, signal);
    if (signal.aborted) return err("stopped before it was done");
    const { tools, findings } = report.value;
    return ok({
      commit,
      tools,
      findings,
      tests: { failure, isFlaky: failure !== null && failures.length < rounds, ms },
      api: api.ok ? apiOf(api.value) : null,
      testFiles: files.filter(isTestFile),
      notes: api.ok ? [] : [`The public API is not compared: ${api.error}.`],
    });
  });
}

const testFile =
  /(?:(?:^|[/.\-_])(?:test|spec)\.[cm]?[jt]sx?$)|(?:^|\/)test-[^/]+$|(?:^|\/)(?:tests?|specs?|__tests__)\//;

/** By its name or folder: `a.test.ts`, `test.js`, `test-a.js`, `test/a.js`. */
export function isTestFile(file: string): boolean {
  return sourceExtension.test(file) && !file.endsWith(".d.ts") && testFile.test(file);
}

/** Declaration files as the project's own compiler writes them. */
async function declarations(
  folder: string,
  own: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Result<string[], string>> {
  const detected = tsc.detect(openProject(folder));
  if (detected?.kind !== "ready") return err(detected?.why ?? "there is no tsconfig.json");
  // Files beside the project are written beside the folder of the output.
  const out = join(own, "reports", "a", "b", "declarations");
  mkdirSync(out, { recursive: true });
  const switches = ["--noEmit", "--composite", "--incremental", "--declarationMap", "--noEmitOnError"];
  const off = switches.flatMap((name) => [name, "false"]);
  const args = ["--project", "tsconfig.json", "--declaration", "--emitDeclarationOnly", ...off];
  const command = { args: [...args, "--rootDir", ".", "--outDir", out] };
  const { tool } = detected;
  const output = await runTool({ tool, command, folder, scratch: own, env, timeMs: defaultTimeMs, signal });
  const written = readdirSync(out, { recursive: true, encoding: "utf8" }).filter((path) => /\.d\.[cm]?ts$/.test(path));
  if (written.length > 0) return ok(written.map((path) => readFileSync(join(out, path), "utf8")));
  return output.ok ? err("the compiler wrote no declarations") : output;
}

/** Pure. Statements of declaration files, which have each at the start of a line. */
function apiOf(files: readonly string[]): string[] {
  const statements = files.flatMap((text) => {
    const bare = text.replaceAll(/\/\*[\s\S]*?(?:\*\/|$)/g, "").replaceAll(/^[ \t]*\/\/.*$/gm, "");
    return bare.split(/\n(?=[a-z])/).map((one) => one.trim().replaceAll(/\s+/g, " "));
  });
  return [...new Set(statements)].filter((one) => !/^(?:$|import |export \{\};$)/.test(one)).toSorted();
}
