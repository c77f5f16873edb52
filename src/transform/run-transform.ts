import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { withoutSecrets } from "../platform/secret-env.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { objectAt, parseObject, textAt } from "../shared/json-fields.ts";
import { ok, type Result } from "../shared/result.ts";
import { displayPath, GitError } from "../snapshots/git.ts";
import { changesSince } from "../snapshots/work-tree.ts";
import { readDiff, type ChangedFile, commitAll, isCreated, findTarget } from "../worker-runner/work-git.ts";
import { runProgram } from "../worker-runner/run-program.ts";
import { type WorkDeps, workDeps } from "../worker-runner/worktrees.ts";
import {
  prepareTool,
  type PreparedTool,
  type Tests,
  type TransformReport,
  type TransformRequest,
} from "./tool-process.ts";
import { createThrowaway, linkModulesInside, resetTo, type ThrowawayWorktree } from "./worktree.ts";
import type { HostContext } from "../local-mcp/host/host.ts";
import { withWorkspace } from "../local-mcp/host/workspace.ts";
import { trustOf } from "../tool-runner/project-folder.ts";
import { parseLintFix, readChange, type TransformInput } from "./change.ts";
import { reserveFiles } from "./reserve-files.ts";

/** Limit of each run of a tool, and of the tests. */
export const defaultTimeMs = 600_000;

type Outcome = Result<TransformReport, Failure>;

/** [TX1] [TX2] Works in a worktree of its own, which is removed whatever happens. */
export async function runTransform(deps: WorkDeps, request: TransformRequest): Promise<Outcome> {
  const worktree = await createThrowaway(deps, request.source, request.offer !== null);
  try {
    return await transform(deps, request, worktree);
  } catch (error) {
    if (!(error instanceof GitError) || !request.signal.aborted) throw error;
    return fail("stopped", "the transform was stopped.");
  } finally {
    await worktree.remove();
  }
}

async function transform(deps: WorkDeps, request: TransformRequest, worktree: ThrowawayWorktree): Promise<Outcome> {
  const git = worktree.git(request.signal);
  const prepared = await prepareTool(deps, request, worktree);
  if (!prepared.ok) return prepared;
  const tool = prepared.value;
  const rules = await tool.count();
  if (!rules.ok) return rules;
  const applied = await tool.apply();
  if (!applied.ok) return applied;
  const { base } = request.source;
  const { transformer, tool: installed, subject } = tool.ready;
  const message = `shim: ${subject}`;
  const { commit, leftOut } = await commitAll(git, { tree: worktree.tree, message, now: deps.now() });
  const { files, diff } = await readDiff(git, base, commit);
  const report: TransformReport = {
    tool: transformer.name,
    version: installed.version,
    base,
    commit: files.length === 0 ? null : commit,
    files,
    insertions: sum(files, ({ added }) => added),
    deletions: sum(files, ({ removed }) => removed),
    rules: rules.value,
    isIdempotent: true,
    tests: null,
    leftOut,
    diff,
  };
  if (files.length === 0) return ok(report);
  const { offer } = request;
  const judged = (): Promise<Outcome> => judge(deps, request, { worktree, tool }, report);
  if (!offer) return judged();
  // [TX10] Reserved until the commit is judged.
  const reserved = await offer.reserve(files.map(({ path }) => path));
  if (!reserved.ok) return reserved;
  try {
    return await judged();
  } finally {
    await reserved.value();
  }
}

/** [TX8] [TX11] Applies the transform again; runs the tests on a commit that is offered. */
async function judge(
  deps: WorkDeps,
  request: TransformRequest,
  { worktree, tool }: { readonly worktree: ThrowawayWorktree; readonly tool: PreparedTool },
  report: TransformReport,
): Promise<Outcome> {
  const git = worktree.git(request.signal);
  const { offer } = request;
  const applied = await tool.apply();
  if (!applied.ok) return applied;
  const { changes } = await changesSince(git);
  const skipped = new Set(report.leftOut.map(({ path }) => path));
  const changed = changes.map(({ path }) => displayPath(path)).filter((path) => !skipped.has(path));
  const repeated = { ...report, isIdempotent: changed.length === 0 };
  if (!offer) return ok(repeated);
  if (changed.length > 0 && !offer.allowsRepeat) {
    const named = changed.slice(0, maxNamed).join(", ");
    const more = changed.length > maxNamed ? ` and ${changed.length - maxNamed} more` : "";
    return fail("not_idempotent", `a second run changes ${named}${more} again.`);
  }
  await resetTo(git, report.commit ?? "HEAD");
  const tests = await runTests(deps, request, worktree, { project: tool.ready.project, tests: offer.tests });
  return tests.ok ? ok({ ...repeated, tests: tests.value }) : tests;
}

const maxNamed = 5;

function sum(files: readonly ChangedFile[], count: (file: ChangedFile) => number | null): number {
  return files.reduce((total, file) => total + (count(file) ?? 0), 0);
}

const graceMs = 5_000;
const maxChars = 2_000;

/** [TX11] Tests are code of the project. @returns null: none were to run */
async function runTests(
  { env }: WorkDeps,
  request: TransformRequest,
  worktree: ThrowawayWorktree,
  { project, tests }: { readonly project: string; readonly tests: Tests },
): Promise<Result<{ readonly command: string } | null, Failure>> {
  if (tests === "none") return ok(null);
  const cwd = join(worktree.tree, project);
  const command = tests === "script" ? testScript(cwd) : tests;
  if (command === null) return fail("no_tests", `there is no script for tests in ${join(project, "package.json")}.`);
  if (!request.isTrusted) return fail("not_trusted", "the tests are code of the project.");
  await linkModulesInside(worktree.git(request.signal), { top: request.source.top, tree: worktree.tree });
  const limit = AbortSignal.timeout(request.timeoutMs);
  let output = "";
  const onText = (text: string): void => {
    output = (output + text).slice(-maxChars);
    request.onOutput(text);
  };
  const [program, ...args] = command;
  const exit = await runProgram({
    command: program,
    args,
    cwd,
    env: { ...withoutSecrets(env), CI: "1" },
    input: "",
    signal: AbortSignal.any([request.signal, limit]),
    graceMs,
    onLine: (line) => onText(`${line}\n`),
    onStderr: onText,
  });
  const name = command.join(" ");
  if (request.signal.aborted) return fail("stopped", "the transform was stopped.");
  if (limit.aborted) return fail("tests_failed", `${name} took longer than ${request.timeoutMs} ms.`);
  if (exit.kind === "not_started") return fail("tests_failed", `${name} cannot be started: ${exit.message}.`);
  if (exit.code === 0) return ok({ command: name });
  return fail("tests_failed", `${name} ended with exit code ${exit.code}:\n${output.trim()}\n`);
}

/** The script that `npm init` writes is no test. */
function testScript(folder: string): readonly [string, ...string[]] | null {
  const path = join(folder, "package.json");
  if (!existsSync(path)) return null;
  const script = textAt(objectAt(parseObject(readFileSync(path, "utf8")), "scripts"), "test");
  return script === null || script.includes("no test specified") ? null : ["npm", "test"];
}

/** Printed as JSON: fields are only added. */
export interface Transformed extends TransformReport {
  /** None was asked for, or nothing was changed: null, and there is no commit either. */
  readonly branch: string | null;
  /** Paths of the tree with changes that are not committed. */
  readonly uncommitted: number;
}

/** [TX1] Shows what a transform would change; with `branch` leaves it on one. */
export async function transformProject(
  context: HostContext,
  { what, paths, branch: isBranch, tool, tests: words, allowRepeat, trust, timeLimitMs }: TransformInput,
  { cwd, signal }: { readonly cwd: string; readonly signal: AbortSignal },
): Promise<Result<Transformed, Failure>> {
  const tests = parseTests(words);
  if (!tests.ok) return tests;
  const target = await findTarget(context.site.env, cwd, paths);
  if (!target.ok) return target;
  const { git, uncommitted, ...source } = target.value;
  const trusted = trustOf(context.paths.config, source.top, trust);
  if (!trusted.ok) return trusted;
  const deps = await workDeps(context);
  if (!deps.ok) return deps;
  const request = {
    source,
    change: () => {
      const lintFix = parseLintFix(what);
      return lintFix ? ok(lintFix) : readChange(resolve(cwd, what), tool ?? null);
    },
    paths: source.paths,
    isTrusted: trusted.value,
    timeoutMs: timeLimitMs ?? defaultTimeMs,
    signal,
    onOutput: () => undefined,
  };
  if (!isBranch) {
    const report = await runTransform(deps.value, { ...request, offer: null });
    return report.ok ? ok({ ...report.value, commit: null, branch: null, uncommitted }) : report;
  }
  return withWorkspace<Transformed>(context, async (workspace) => {
    const self = await workspace.self();
    if (!self.ok) return self;
    const reservation = { top: source.top, paths: source.paths, self: self.value, isOwnAllowed: true };
    const reserve = (files: readonly string[]): ReturnType<typeof reserveFiles> =>
      reserveFiles(workspace, reservation, files);
    const offer = { tests: tests.value, allowsRepeat: allowRepeat, reserve };
    const report = await runTransform(deps.value, { ...request, offer });
    if (!report.ok) return report;
    const { commit } = report.value;
    if (commit === null) return ok({ ...report.value, branch: null, uncommitted });
    const branch = `shim/transform-${report.value.tool}-${commit.slice(0, 12)}`;
    if (!(await isCreated(git, branch, commit)))
      return fail("branch_exists", `there is a branch ${branch} with another commit than ${commit}.`);
    return ok({ ...report.value, branch, uncommitted });
  });
}

/** [TX11] No shell parses the command. */
export function parseTests(given: string | false | undefined): Result<Tests, Failure> {
  if (given === undefined) return ok("script");
  if (given === false) return ok("none");
  const [program, ...args] = given.trim().split(/\s+/);
  if (program === undefined || program === "" || /["'`$&|;<>\\]/.test(given))
    return fail(
      "bad_input",
      "--tests takes a program and its arguments, which no shell parses; for more, name a script.",
    );
  return ok([program, ...args]);
}
