import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { loadAstGrep, MissingAstGrep, type AstGrep } from "../mutation/ast-grep.ts";
import { findMutants, parses } from "../mutation/find-mutants.ts";
import { findFramework } from "../mutation/framework.ts";
import { generateTests, type GenerateRequest } from "../mutation/generate/generate-tests.ts";
import { judgeTests, type KeptTests, type Verdict as TestVerdict } from "../mutation/generate/judge.ts";
import { newTestFile, styleFor } from "../mutation/generate/test-style.ts";
import { testTask } from "../mutation/generate/worker-task.ts";
import type { Mutant } from "../mutation/mutant.ts";
import { readProject } from "../mutation/project.ts";
import { timeLimit } from "../mutation/run-tests.ts";
import { runMutants, survivorsOf, type MutationDeps, type MutationLimits } from "../mutation/run-mutants.ts";
import type { Json } from "../contract/json.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { openProject } from "../tool-runner/project-folder.ts";
import type { RunOutcome, TaskRun } from "../worker-runner/executor.ts";
import type { ChangeTask } from "./candidate.ts";
import type { ChangeOptions } from "./change-executor.ts";
import { inCommit } from "../transform/in-commit.ts";
import type { Verdict } from "./run-state.ts";

const limits: MutationLimits = { maxMutants: 60, wallMs: 1_200_000, factor: 2, extraMs: 5_000 };
const probeMs = 60_000;
const maxCalls = 12;

type TestOptions = Pick<ChangeOptions, "deps" | "project" | "claude">;
type Outcome = Result<NonNullable<Verdict["mutants"]>, RunOutcome>;

/** [EV16] Writes tests of one file that notice mutants which none did before. */
export async function addTests(
  options: TestOptions,
  run: TaskRun,
  { candidate }: ChangeTask,
  base: string,
): Promise<Outcome> {
  const [file = ""] = candidate.files;
  const { deps, project } = options;
  try {
    const astGrep = await loadAstGrep(join(project.top, project.prefix));
    return await inCommit(deps, project, { commit: base, signal: run.signal }, (folder) =>
      new TestWriter(options, run, astGrep, { folder, file, seed: run.task.task }).write(),
    );
  } catch (error) {
    if (error instanceof MissingAstGrep) return err(failed(error.message));
    throw error;
  }
}

interface Subject {
  /** Copy of the project that is thrown away. */
  readonly folder: string;
  readonly file: string;
  readonly seed: number;
}

class TestWriter {
  readonly #options: TestOptions;
  readonly #run: TaskRun;
  readonly #astGrep: AstGrep;
  readonly #subject: Subject;

  constructor(options: TestOptions, run: TaskRun, astGrep: AstGrep, subject: Subject) {
    this.#options = options;
    this.#run = run;
    this.#astGrep = astGrep;
    this.#subject = subject;
  }

  async write(): Promise<Outcome> {
    const { folder, file, seed } = this.#subject;
    const { signal } = this.#run;
    const project = readProject(openProject(folder));
    const framework = findFramework(project, { path: process.execPath, isScript: false, version: null });
    if (!framework.ok) return err(failed(framework.error));
    const mutants = findMutants(this.#astGrep, file, project.read(file));
    const { commandsFor } = framework.value;
    const report = await runMutants(this.#deps, { copies: [folder], mutants, commandsFor, limits, seed, signal });
    if (signal.aborted) return err({ kind: "stopped" });
    if (!report.ok) return err(failed(report.error));
    const survivors = survivorsOf(report.value.results);
    if (survivors.length === 0) return ok({ survived: 0, killed: 0 });
    const rest = { project, framework: framework.value, file, seed, survivors, limits, signal };
    const request: GenerateRequest = { ...rest, copies: [folder], probeMs, maxCalls };
    const generated = await generateTests({ ...this.#deps, astGrep: this.#astGrep }, request);
    const verdict = generated.verdict.kept ? generated.verdict : await this.#askWorker(request, generated.verdict);
    if (signal.aborted) return err({ kind: "stopped" });
    if (!verdict.kept) return err(failed(`rejected: ${verdict.reason}`));
    this.#save(verdict.kept);
    return ok({ survived: survivors.length, killed: countKilled(verdict, survivors) });
  }

  get #deps(): MutationDeps {
    const { runTests, monotonic } = this.#options.deps;
    return { runTests, timeLimit, now: monotonic, parses: (mutant, source) => parses(this.#astGrep, mutant, source) };
  }

  /** Mutants that no recorded call kills, for a model. */
  async #askWorker(request: GenerateRequest, without: TestVerdict): Promise<TestVerdict> {
    const { claude, project: evolved } = this.#options;
    const { project, framework, survivors, file } = request;
    if (!claude) return without;
    const root = join(this.#run.folder, evolved.prefix);
    const style = styleFor(project, framework.name, file);
    const write = newTestFile(style, file, "evolve", (path) => existsSync(join(root, path)));
    const payload = testTask(project, style, { file, write, survivors }) as unknown as Json;
    const outcome = await claude.run({ ...this.#run, task: { ...this.#run.task, payload } });
    const path = join(root, write);
    if (outcome.kind !== "done" || !existsSync(path))
      return { kept: null, reason: "reason" in outcome ? outcome.reason : "the worker wrote no tests" };
    const text = readFileSync(path, "utf8");
    return judgeTests(this.#deps, request, { path: write, count: 1, render: () => text });
  }

  #save({ path, text }: KeptTests): void {
    const target = join(this.#run.folder, this.#options.project.prefix, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
  }
}

function countKilled(verdict: TestVerdict, survivors: readonly Mutant[]): number {
  if (!verdict.kept) return 0;
  const killed = verdict.results.filter(({ status }) => status === "killed" || status === "timeout");
  return Math.min(killed.length, survivors.length);
}

function failed(reason: string): RunOutcome {
  return { kind: "failed", reason, isRetryable: false };
}
