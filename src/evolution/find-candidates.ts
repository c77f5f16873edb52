import type { ToolName } from "../analysis/adapter.ts";
import type { Finding } from "../analysis/finding.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { analyze } from "../tool-runner/analyze.ts";
import { resetTo, type ThrowawayWorktree } from "../transform/throwaway-worktree.ts";
import { readDiff, resolveCommit } from "../worker-runner/work-git.ts";
import { applyFixer, isUnusedName } from "./apply-fixer.ts";
import { Fixer, isToolSettings } from "./candidate.ts";
import { newFindings } from "./judge.ts";
import { inCommit, type RepositoryProject } from "../transform/in-commit.ts";
import { analysisOptions, type MeasureDeps } from "./measure.ts";
import type { Measured } from "./measured.ts";
import type { Fix } from "./rank.ts";
import { groupFiles } from "./group-files.ts";

export interface Trials {
  /** By fingerprint. */
  readonly fixable: ReadonlyMap<string, Fix>;
  readonly notes: readonly string[];
}

const linters: readonly string[] = ["oxlint", "biome", "eslint", "complexity"] satisfies ToolName[];

const canFix: Readonly<Record<Fixer, (finding: Finding) => boolean>> = {
  "lint-fix": ({ tool, others = [] }) =>
    [tool, ...others.map((one) => one.tool)].some((name) => linters.includes(name)),
  unused: isUnusedName,
};

interface TrialRequest {
  readonly measured: Measured;
  readonly findings: readonly Finding[];
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

/** [EV11] A trial run of each fixer in a throwaway worktree shows which findings it removes. */
export async function tryFixers(deps: MeasureDeps, project: RepositoryProject, request: TrialRequest): Promise<Trials> {
  const fixable = new Map<string, Fix>();
  const notes: string[] = [];
  for (const fixer of Fixer.options) {
    const open = request.findings.filter(
      (one) => !fixable.has(one.fingerprint) && !isToolSettings(one.file) && canFix[fixer](one),
    );
    if (open.length === 0 || request.signal.aborted) continue;
    const trial = await new Trial(deps, project, { ...request, findings: open }, fixer).run();
    if (typeof trial === "string") notes.push(`${fixer} was not tried: ${trial}`);
    else for (const [fingerprint, fix] of trial) fixable.set(fingerprint, fix);
  }
  return { fixable, notes };
}

/** [EV211] Names that become unused once these findings are gone; the error: why they stay. */
export async function findCascade(
  deps: MeasureDeps,
  project: RepositoryProject,
  request: TrialRequest,
): Promise<Result<Finding[], string>> {
  const fixes = await new Trial(deps, project, request, "unused").run();
  if (typeof fixes === "string") return err(fixes);
  if (fixes.size < request.findings.length) return err("removing it leaves new findings behind");
  const cascade = [...fixes.values()].flatMap((fix) => fix.cascade);
  return ok([...new Map(cascade.map((one) => [one.fingerprint, one])).values()]);
}

/** Removing unused code makes more code unused. */
const maxRounds = 5;

class Trial {
  readonly #deps: MeasureDeps;
  readonly #project: RepositoryProject;
  readonly #request: TrialRequest;
  readonly #fixer: Fixer;
  readonly #own: ReadonlySet<string>;

  constructor(deps: MeasureDeps, project: RepositoryProject, request: TrialRequest, fixer: Fixer) {
    this.#deps = deps;
    this.#project = project;
    this.#request = request;
    this.#fixer = fixer;
    this.#own = new Set(request.findings.map(({ fingerprint }) => fingerprint));
  }

  /** @returns fixes by fingerprint, or why it was not tried */
  run(): Promise<ReadonlyMap<string, Fix> | string> {
    const { measured, signal } = this.#request;
    const at = { commit: measured.commit, signal };
    return inCommit(this.#deps, this.#project, at, (folder, worktree) => this.#rounds(folder, worktree));
  }

  async #rounds(folder: string, worktree: ThrowawayWorktree): Promise<ReadonlyMap<string, Fix> | string> {
    const { measured, signal } = this.#request;
    const cascade: Finding[] = [];
    for (let round = 1; ; round++) {
      const applied = await this.#apply(folder, worktree, cascade);
      if (typeof applied === "string") return applied;
      const fresh = newFindings(measured.findings, applied, this.#own);
      const inTurn = this.#fixer === "unused" ? fresh.filter(isUnusedName) : [];
      const isDone = inTurn.length === 0 || round === maxRounds || signal.aborted;
      if (isDone) return this.#toFixes(applied, fresh, cascade, await this.#diff(worktree));
      cascade.push(...inTurn);
    }
  }

  /** @returns what the tools report afterwards, or why it was not tried */
  async #apply(
    folder: string,
    { tree, git: open }: ThrowawayWorktree,
    cascade: readonly Finding[],
  ): Promise<Finding[] | string> {
    const { measured, limitMs, signal } = this.#request;
    const findings = [...this.#request.findings, ...cascade];
    const files = this.#fixer === "unused" ? [...new Set(findings.map(({ file }) => file))] : [];
    const git = open(signal);
    await resetTo(git, measured.commit);
    const request = { fixer: this.#fixer, tree, git, files, findings, left: [], limitMs, signal };
    const applied = await applyFixer(this.#deps, this.#project, request);
    if (!applied.ok) return applied.error;
    if ((await resolveCommit(git, "HEAD")) === measured.commit) return [...measured.findings];
    const options = analysisOptions(this.#deps, folder, signal);
    const report = await analyze({ ...options, only: toolsOf(findings, measured) });
    return report.ok ? [...report.value.findings] : report.error;
  }

  async #diff({ git: open }: ThrowawayWorktree): Promise<string> {
    const git = open(this.#request.signal);
    return (await readDiff(git, this.#request.measured.commit, await resolveCommit(git, "HEAD"))).diff;
  }

  /** Findings that are gone, except where the change leaves new ones behind. */
  #toFixes(
    now: readonly Finding[],
    fresh: readonly Finding[],
    cascade: readonly Finding[],
    diff: string,
  ): ReadonlyMap<string, Fix> {
    const left = new Set(now.map(({ fingerprint }) => fingerprint));
    const groupOf = groupFiles(diff, [...cascade, ...fresh], this.#project.prefix);
    const spoiled = new Set(fresh.map(({ file }) => groupOf(file)));
    const fixed = this.#request.findings.filter(
      ({ fingerprint, file }) => !left.has(fingerprint) && !spoiled.has(groupOf(file)),
    );
    return new Map(
      fixed.map(({ fingerprint, file }) => {
        const group = groupOf(file);
        return [
          fingerprint,
          { fixer: this.#fixer, group, cascade: cascade.filter((one) => groupOf(one.file) === group) },
        ];
      }),
    );
  }
}

/** Those that reported the findings, and the compiler and linters, which see what is left over. */
function toolsOf(findings: readonly Finding[], { tools }: Measured): ToolName[] {
  const reporters = findings.flatMap(({ tool, others = [] }) => [tool, ...others.map((one) => one.tool)]);
  const names = new Set([...reporters, "tsc", "knip", "fallow", ...linters]);
  return tools.filter(({ name, status }) => status === "ran" && names.has(name)).map(({ name }) => name);
}
