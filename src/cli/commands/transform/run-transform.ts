import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, relative, resolve, sep } from "node:path";
import { identify } from "../../../platform/processes.ts";
import { readConfig } from "../../../platform/config-file.ts";
import { nodePlatform } from "../../../coordinator-client/edge/node-platform.ts";
import { err, ok } from "../../../shared/result.ts";
import { GitError, lines, type Git } from "../../../snapshots/git.ts";
import { isTrusted } from "../../../tool-runner/project-folder.ts";
import { parseLintFix, readChange } from "../../../transform/change.ts";
import type { TransformFailure } from "../../../transform/failure.ts";
import type { Tests, TransformDeps, TransformRequest } from "../../../transform/request.ts";
import { defaultTimeMs, runTransform } from "../../../transform/run-transform.ts";
import { isCreated } from "../../../worker-runner/job-branch.ts";
import { endSignal } from "../analyze/analyze.ts";
import { worktreesIn } from "../../../worker-runner/work-record.ts";
import { commonGitFolder, gitInFolder, resolveCommit, worktreeTop } from "../../../worker-runner/work-git.ts";
import { exitCodes, failed, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { toAnswer } from "./answer-transform.ts";
import { reserveChanged } from "./reserve-changed.ts";
import type { TransformFlags } from "./transform.ts";

export interface Target {
  readonly git: Git;
  readonly top: string;
  readonly repository: string;
  readonly base: string;
  /** Relative to the top. */
  readonly paths: readonly string[];
  /** Files whose changes are not committed. */
  readonly uncommitted: number;
}

type Request = Omit<TransformRequest, "offer">;

/** [TX1] Shows what a transform would change; with `--branch` leaves it on a branch. */
export async function transform(
  cli: Cli,
  flags: TransformFlags,
  what: string,
  given: readonly string[],
): Promise<CommandResult> {
  const tests = parseTests(flags.tests);
  if (!tests.ok) return tests;
  const target = await findTarget(cli, given);
  if (!target.ok) return target;
  const trusted = await isProjectTrusted(cli, flags, target.value.top);
  if (!trusted.ok) return trusted;
  const deps = await transformDeps(cli);
  if (!deps.ok) return deps;
  const path = resolve(cli.io.cwd, what);
  const request: Request = {
    source: target.value,
    change: () => {
      const lintFix = parseLintFix(what);
      return lintFix ? ok(lintFix) : readChange(path, flags.tool ?? null);
    },
    paths: target.value.paths,
    isTrusted: trusted.value,
    timeoutMs: flags.timeLimit ?? defaultTimeMs,
    signal: endSignal(cli),
    onOutput: () => undefined,
  };
  if (!flags.branch) return dryRun(deps.value, request, target.value);
  return leaveBranch(cli, deps.value, request, { flags, target: target.value, tests: tests.value });
}

/** [TX11] No shell parses the command. */
export function parseTests(given: string | false | undefined): CliResult<Tests> {
  if (given === undefined) return ok("script");
  if (given === false) return ok("none");
  const [program, ...args] = given.trim().split(/\s+/);
  if (program === undefined || program === "" || /["'`$&|;<>\\]/.test(given))
    return wrongUsage("--tests takes a program and its arguments, which no shell parses; for more, name a script.");
  return ok([program, ...args]);
}

export async function findTarget({ io }: Cli, given: readonly string[]): Promise<CliResult<Target>> {
  const named = given.length === 0 ? [io.cwd] : given.map((path) => resolve(io.cwd, path));
  const missing = named.find((path) => !existsSync(path));
  if (missing !== undefined) return wrongUsage(`there is no ${missing}.`);
  const paths = named.map((path) => realpathSync(path));
  const [first = io.cwd] = paths;
  try {
    const top = await worktreeTop(io.env, statSync(first).isDirectory() ? first : dirname(first));
    return await readTarget(gitInFolder(io.env, top), top, paths);
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    if (error.fault === "missing") return failed("no_git", `${error.message}; a transform works in a git worktree.`);
    return wrongUsage(`${first} is not in the work tree of a git repository (${error.message}).`);
  }
}

async function readTarget(git: Git, top: string, absolute: readonly string[]): Promise<CliResult<Target>> {
  const paths = absolute.map((path) => relative(top, path).split(sep).join("/"));
  const stray = paths.findIndex((path) => path === ".." || path.startsWith("../"));
  if (stray >= 0) return wrongUsage(`${absolute[stray]} is not in ${top}.`);
  const base = await findHead(git);
  if (base === null) return failed("no_commit", `${top} has no commit yet: a worktree starts from one.`);
  const repository = await commonGitFolder(git, top);
  const uncommitted = (await lines(git, ["status", "--porcelain"])).length;
  return ok({ git, top, repository, base, paths: paths.includes("") ? [] : paths, uncommitted });
}

async function findHead(git: Git): Promise<string | null> {
  try {
    return await resolveCommit(git, "HEAD");
  } catch (error) {
    if (error instanceof GitError && error.fault === "failed") return null;
    throw error;
  }
}

export async function isProjectTrusted(
  cli: Cli,
  { trust }: Pick<TransformFlags, "trust">,
  top: string,
): Promise<CliResult<boolean>> {
  if (trust) return ok(true);
  const config = readConfig(cli.paths.config);
  return config.ok ? ok(isTrusted(top, config.value.analysis.trusted)) : failed("bad_config", config.error);
}

export async function transformDeps(cli: Cli): Promise<CliResult<TransformDeps>> {
  const { processes, env, now } = await cli.runtime();
  const self = identify(processes, process.pid);
  if (!self) return failed("unknown_process", "this system does not report when a process was started.");
  return ok({ env, now, processes, self, random: nodePlatform().random, home: worktreesIn(cli.paths.home) });
}

async function dryRun(deps: TransformDeps, request: Request, target: Target): Promise<CommandResult> {
  const report = await runTransform(deps, { ...request, offer: null });
  if (!report.ok) return toFailed(report.error);
  return toAnswer(report.value, target, null);
}

interface BranchOptions {
  readonly flags: TransformFlags;
  readonly target: Target;
  readonly tests: Tests;
}

function leaveBranch(
  cli: Cli,
  deps: TransformDeps,
  request: Request,
  { flags, target, tests }: BranchOptions,
): Promise<CommandResult> {
  return cli.withWorkspace(async (link) => {
    const self = await link.self();
    if (!self.ok) return self;
    const { top, paths } = target;
    const options = { top, paths, self: self.value, isOwnAllowed: true };
    const reserve = (files: readonly string[]): ReturnType<typeof reserveChanged> =>
      reserveChanged(link, options, files);
    const offer = { tests, allowsRepeat: flags.allowRepeat === true, reserve };
    const report = await runTransform(deps, { ...request, offer });
    if (!report.ok) return toFailed(report.error);
    const { commit, tool } = report.value;
    if (commit === null) return toAnswer(report.value, target, null);
    const branch = `shim/transform-${tool}-${commit.slice(0, 12)}`;
    if (!(await isCreated(target.git, branch, commit)))
      return failed("branch_exists", `there is a branch ${branch} with another commit than ${commit}.`);
    return toAnswer(report.value, target, branch);
  });
}

function toFailed({ code, message }: TransformFailure): CommandResult {
  if (code === "stopped") return err({ exit: exitCodes.interrupted, code, message });
  return code === "bad_transform" ? wrongUsage(message) : failed(code, `${message}${adviceFor(code)}`);
}

function adviceFor(code: TransformFailure["code"]): string {
  const advice: Partial<Record<TransformFailure["code"], string>> = {
    no_tool: " SHIM downloads nothing: add the package to the project.",
    not_trusted: " --trust allows that this time, and the setting analysis.trusted always.",
    not_idempotent: " --allow-repeat accepts that.",
    no_tests: " Name a command with --tests, or say --no-tests.",
    tests_failed: "No branch was left.",
  };
  return advice[code] ?? "";
}
