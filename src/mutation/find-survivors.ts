import { existsSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import type { HostContext, HostSite } from "../local-mcp/host/handlers.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { defaultMemoryMb } from "../tool-runner/analyze.ts";
import { probeIsolation } from "../tool-runner/isolation.ts";
import { openProject, trustOf } from "../tool-runner/project-folder.ts";
import { inCommit, type RepositoryProject } from "../transform/in-commit.ts";
import { workDeps } from "../worker-runner/work-deps.ts";
import { findTarget, type WorkTarget } from "../worker-runner/work-git.ts";
import { loadAstGrep, MissingAstGrep, sourceExtension, type AstGrep } from "./ast-grep.ts";
import { findMutants, parses } from "./find-mutants.ts";
import { findFramework } from "./framework.ts";
import type { MutantsInput } from "./mutants-input.ts";
import { readProject } from "./project.ts";
import { defaultLimits, runMutants, type MutantResult, type MutationReport } from "./run-mutants.ts";
import { testRunner, timeLimit } from "./run-tests.ts";
import { parseStrykerReport } from "./stryker.ts";
import { survivorReport } from "./survivor-report.ts";

/** Printed as JSON: fields are only added. */
export interface MutantsReport {
  readonly version: 1;
  readonly folder: string;
  /** Commit that was tried; null: the results are those of Stryker's report. */
  readonly commit: string | null;
  readonly framework: string;
  /** All that there are; where they are more than `tried`, the seed has drawn those. */
  readonly total: number;
  readonly tried: number;
  readonly seed: number | null;
  readonly files: ReturnType<typeof survivorReport>;
  /** Why some were not run; null: all were. */
  readonly stoppedBy: MutationReport["stoppedBy"];
  readonly uncommitted: number;
}

interface Site {
  readonly cwd: string;
  readonly signal: AbortSignal;
}

/** [MU31] */
export async function findSurvivors(
  context: HostContext,
  input: MutantsInput,
  { cwd, signal }: Site,
): Promise<Result<MutantsReport, Failure>> {
  const target = await findTarget(context.site.env, cwd, input.files);
  if (!target.ok) return target;
  const found = findPackage(target.value);
  if (!found.ok) return found;
  const { uncommitted } = target.value;
  if (input.stryker !== undefined) return readStryker(input.stryker, found.value);
  const report = await tryMutants(context, input, target.value, { ...found.value, signal });
  return report.ok ? ok({ ...report.value, uncommitted }) : report;
}

interface Package {
  readonly project: RepositoryProject;
  readonly folder: string;
  /** Relative to the package. */
  readonly files: readonly string[];
}

/** The package that all of the files are in. */
function findPackage({ top, repository, paths }: WorkTarget): Result<Package, Failure> {
  const bad = paths.find((path) => !sourceExtension.test(path));
  if (bad !== undefined || paths.length === 0)
    return fail("bad_input", `${bad ?? top} is no file of JavaScript or TypeScript.`);
  const prefixes = [...new Set(paths.map((path) => packageOf(top, path)))];
  const [prefix = null] = prefixes;
  if (prefix === null) return fail("bad_input", `there is no package.json above ${paths[0]} in ${top}.`);
  if (prefixes.length > 1) return fail("bad_input", "the files are of several packages: name those of one.");
  const files = paths.map((path) => posix.relative(prefix, path));
  return ok({ project: { top, repository, prefix }, folder: join(top, prefix), files: [...new Set(files)] });
}

function packageOf(top: string, path: string): string | null {
  for (let folder = posix.dirname(path); ; folder = posix.dirname(folder)) {
    if (existsSync(join(top, folder, "package.json"))) return folder === "." ? "" : folder;
    if (folder === ".") return null;
  }
}

type Tried = Omit<MutantsReport, "uncommitted">;

async function tryMutants(
  context: HostContext,
  input: MutantsInput,
  { top, base }: WorkTarget,
  { project, folder, files, signal }: Package & Pick<Site, "signal">,
): Promise<Result<Tried, Failure>> {
  const trusted = trustOf(context.paths.config, top, input.trust);
  if (!trusted.ok) return trusted;
  if (!trusted.value) return notTrusted;
  const deps = await workDeps(context);
  if (!deps.ok) return deps;
  const astGrep = await findAstGrep(folder);
  if (!astGrep.ok) return fail("no_tool", `${astGrep.error}.`);
  context.progress?.(`Trying mutants of ${files.join(", ")} at ${base.slice(0, 12)} ...`);
  return inCommit(deps.value, project, { commit: base, signal }, async (copy) => {
    const report = await runIn(context.site, input, { copy, files, astGrep: astGrep.value, signal });
    if (!report.ok)
      return signal.aborted
        ? fail("stopped", "it was stopped.")
        : fail("not_judged", `no mutant was tried: ${report.error}.`);
    const { framework, seed, total, results, stoppedBy } = report.value;
    const common = { version: 1, folder, commit: base, framework, seed, total, tried: results.length } as const;
    return ok({ ...common, files: survivorReport(files, results), stoppedBy });
  });
}

const notTrusted = fail(
  "not_trusted",
  "tests run the project's code. --trust allows that this time, and the setting analysis.trusted always.",
);

async function findAstGrep(folder: string): Promise<Result<AstGrep, string>> {
  try {
    return ok(await loadAstGrep(folder));
  } catch (error) {
    if (error instanceof MissingAstGrep) return err(error.message);
    throw error;
  }
}

const now = (): number => performance.now();

interface Copy {
  readonly copy: string;
  readonly files: readonly string[];
  readonly astGrep: AstGrep;
  readonly signal: AbortSignal;
}

async function runIn(
  { env }: HostSite,
  { max: maxMutants, seed, timeLimitMs: wallMs = defaultLimits.wallMs }: MutantsInput,
  { copy, files, astGrep, signal }: Copy,
): Promise<Result<MutationReport & { readonly framework: string }, string>> {
  const project = readProject(openProject(copy));
  const missing = files.find((file) => !existsSync(join(copy, file)));
  if (missing !== undefined) return err(`${missing} is not in the last commit`);
  const framework = findFramework(project, { path: process.execPath, isScript: false, version: null });
  if (!framework.ok) return framework;
  const { name, commandsFor } = framework.value;
  const isolation = probeIsolation(env["PATH"] ?? "");
  const runTests = testRunner({ env, isolation, memoryMb: defaultMemoryMb, now });
  const mutants = files.flatMap((file) => findMutants(astGrep, file, project.read(file)));
  const limits = { ...defaultLimits, maxMutants, wallMs };
  const report = await runMutants(
    { runTests, timeLimit, now, parses: (mutant, source) => parses(astGrep, mutant, source) },
    { copies: [copy], mutants, commandsFor, limits, seed, signal },
  );
  return report.ok ? ok({ ...report.value, framework: name }) : report;
}

/** [MU6] */
function readStryker(path: string, { folder, files }: Package): Result<MutantsReport, Failure> {
  if (!existsSync(path)) return fail("bad_input", `there is no report ${path}.`);
  const parsed = parseStrykerReport(readFileSync(path, "utf8"));
  if (!parsed.ok) return fail("bad_input", `${path}: ${parsed.error}.`);
  const results: MutantResult[] = parsed.value.filter(({ mutant }) => files.includes(mutant.file));
  const common = { version: 1, folder, commit: null, framework: "Stryker", seed: null, stoppedBy: null } as const;
  const counts = { total: results.length, tried: results.length, uncommitted: 0 };
  return ok({ ...common, ...counts, files: survivorReport(files, results) });
}
