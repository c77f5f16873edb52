import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { err, ok, type Result } from "../../shared/result.ts";
import { GitError } from "../../snapshots/git.ts";
import { findCommit } from "../../snapshots/user-repository.ts";
import {
  type Adapter,
  type Detection,
  type InstalledTool,
  type Parsed,
  type ProjectView,
} from "../analysis/adapter.ts";
import { type ToolName, markNew, mergeFindings, withFingerprints, type Finding } from "../analysis/finding.ts";
import { adapters } from "../analysis/adapters/adapters.ts";
import { countTotals, notCovered, type Report, type ToolRun } from "../analysis/report.ts";
import {
  copyCommit,
  findRepository,
  ignoredFiles,
  type Repository,
  openCopy,
  openProject,
  projectPath,
} from "./project-folder.ts";
import { defaultTimeMs, missingLimits, runTool } from "./run-tool.ts";

export interface AnalysisOptions {
  readonly folder: string;
  /** Absent: all. */
  readonly only?: readonly ToolName[] | undefined;
  /** Limit of each tool. */
  readonly timeMs?: number | undefined;
  /** Commit: only what it does not have is new. */
  readonly since?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Milliseconds that never jump. */
  readonly monotonic: () => number;
  readonly signal: AbortSignal;
}

/** Analyses a folder that is trusted, with the tools of its project. The error is wrong input. */
export async function analyze(options: AnalysisOptions): Promise<Result<Report, string>> {
  const repository = await findRepository(options.env, options.folder, options.signal);
  const commit = await findSince(options, repository);
  if (!commit.ok) return commit;
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), "shim-analysis-")));
  try {
    return ok(await new Analysis(options, repository, scratch).report(commit.value));
  } catch (error) {
    if (error instanceof GitError && error.fault !== "stopped") return err(error.message);
    throw error;
  } finally {
    rmSync(scratch, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function findSince(
  { folder, since }: AnalysisOptions,
  repository: Repository | null,
): Promise<Result<string | null, string>> {
  if (since === undefined) return ok(null);
  if (repository === null) return err(`${folder} is in no git repository, or git is not installed: --since needs both`);
  const commit = await findCommit(repository.git, since);
  return commit === null ? err(`${since} is not a commit in ${folder}`) : ok(commit);
}

interface AdapterResult {
  readonly run: ToolRun;
  readonly parsed: Parsed | null;
}

class Analysis {
  readonly #options: AnalysisOptions;
  readonly #repository: Repository | null;
  readonly #scratch: string;
  readonly #selected: readonly Adapter[];

  constructor(options: AnalysisOptions, repository: Repository | null, scratch: string) {
    this.#options = options;
    this.#repository = repository;
    this.#scratch = scratch;
    this.#selected = adapters.filter(({ name }) => options.only?.includes(name) ?? true);
  }

  async report(commit: string | null): Promise<Report> {
    const { folder, since, only = null, env } = this.#options;
    const project = openProject(realpathSync(folder));
    const results = await this.#runAll(project, "now");
    const found = await this.#ownFindings(results, project);
    const notes = missingLimits(env);
    const before = commit === null ? null : await this.#findingsAt(project, commit, notes);
    const isPresent = (file: string): boolean => existsSync(join(project.root, file));
    const findings = before === null ? found : markNew(found, before, isPresent);
    const tools = results.map(({ run }) => run);
    return {
      version: 1,
      folder,
      tools,
      findings,
      totals: countTotals(findings, before !== null),
      comparedWith: since ?? null,
      notCovered: notCovered(tools, only),
      notes,
    };
  }

  /** The same tools, on the files of the commit. */
  async #findingsAt(project: ProjectView, commit: string, notes: string[]): Promise<Finding[]> {
    if (this.#repository === null) throw new Error("a commit without a repository has passed the check");
    const root = await copyCommit(this.#repository, commit, join(this.#scratch, "commit"));
    const copy = openCopy(project, root);
    const results = await this.#runAll(copy, "then");
    for (const { run } of results) {
      if (run.status !== "failed") continue;
      notes.push(`${run.name} failed on ${this.#options.since ?? commit}, so all it finds counts as new: ${run.why}`);
    }
    return this.#ownFindings(results, copy);
  }

  /** Neither installed packages nor what git ignores is the project's code. */
  async #ownFindings(results: readonly AdapterResult[], project: ProjectView): Promise<Finding[]> {
    const ran = results.flatMap(({ run: { name: tool }, parsed }) =>
      parsed === null ? [] : [{ tool, findings: parsed.findings }],
    );
    const all = withFingerprints(mergeFindings(ran), project.read);
    const findings = all.filter(({ file }) => !file.split("/").includes("node_modules"));
    const files = [...new Set(findings.map(({ file }) => file))];
    const ignored = this.#repository ? await ignoredFiles(this.#repository, files) : new Set<string>();
    return findings.filter(({ file }) => !ignored.has(file));
  }

  /** Those that the project uses. */
  async #runAll(project: ProjectView, phase: string): Promise<AdapterResult[]> {
    const results = await Promise.all(
      this.#selected.map(async (adapter) => {
        const detected = adapter.detect(project);
        return detected === null ? [] : this.#runAdapter(adapter, detected, project, phase);
      }),
    );
    return results.flat();
  }

  async #runAdapter(
    adapter: Adapter,
    detected: Detection,
    project: ProjectView,
    phase: string,
  ): Promise<AdapterResult> {
    const common = { name: adapter.name, kinds: [...adapter.kinds] };
    if (detected.kind === "missing") {
      const run = { ...common, status: "missing" as const, version: null, why: detected.why, findings: 0, ms: 0 };
      return { run, parsed: null };
    }
    const { tool } = detected;
    const startedAt = this.#options.monotonic();
    const parsed = await this.#runDetected(adapter, tool, project, phase);
    const ms = Math.round(this.#options.monotonic() - startedAt);
    const result = parsed.ok
      ? { status: "ran" as const, why: null, findings: parsed.value.findings.length }
      : { status: "failed" as const, why: parsed.error, findings: 0 };
    const run = { ...common, version: tool.version, ms, ...result };
    return { run, parsed: parsed.ok ? parsed.value : null };
  }

  async #runDetected(
    adapter: Adapter,
    tool: InstalledTool,
    project: ProjectView,
    phase: string,
  ): Promise<Result<Parsed, string>> {
    const { env, timeMs = defaultTimeMs, signal } = this.#options;
    const scratch = join(this.#scratch, `${adapter.name}-${phase}`);
    mkdirSync(scratch, { mode: 0o700 });
    const writeScratch = (name: string, text: string): string => {
      writeFileSync(join(scratch, name), text);
      return join(scratch, name);
    };
    const command = adapter.command({ project, scratch, writeScratch });
    const folder = project.root;
    const output = await runTool({ tool, command, folder, scratch, env, timeMs, signal });
    if (!output.ok) return output;
    const path = command.reportFile === undefined ? null : join(scratch, command.reportFile);
    const stdout = path !== null && existsSync(path) ? readFileSync(path, "utf8") : output.value.stdout;
    const selected = this.#selected.map(({ name }) => name);
    return adapter.parse(
      { ...output.value, stdout },
      { project, selected, toFile: (path) => projectPath(project.root, path) },
    );
  }
}
