import { existsSync, lstatSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, posix, resolve } from "node:path";
import type { InstalledTool, ProjectView, ToolOutput } from "../analysis/adapter.ts";
import type { OperationContext } from "../../machine/context/operation-context.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { firstOf } from "../../shared/format.ts";
import { displayPath } from "../../snapshots/git.ts";
import { changesSince } from "../../snapshots/work-tree.ts";
import { findTarget, openCopy, openProject, requireTrust } from "../tool-runner/project-folder.ts";
import { parseTests, runTests, testScript, type Tests, runTool } from "../tool-runner/run-tool.ts";
import { type ChangedFile, commitAll, readDiff } from "../../snapshots/commit-work.ts";
import { createBranch } from "../../snapshots/user-repository.ts";
import { type WorkDeps, workDeps } from "../../runner/worker/machine-deps.ts";
import {
  readChange,
  type Change,
  fixNames,
  type FixName,
  type TransformInput,
  transformersFor,
  type Transformer,
} from "./transformers.ts";
import {
  createThrowaway,
  linkModulesInside,
  resetTo,
  type ThrowawayWorktree,
  type WorktreeSource,
} from "./worktree.ts";
import { withoutLinks } from "../../snapshots/worktrees.ts";

/** Limit of each run of a tool, and of the tests. */
const defaultTimeMs = 600_000;

interface TransformRequest {
  readonly source: WorktreeSource;
  readonly change: Change;
  /** Relative to the top, with `/`; empty: everything. */
  readonly paths: readonly string[];
  /** The commit is kept for a branch; null: a dry run, which runs no tests. */
  readonly offer: {
    /** Judges of the change; null: none. */
    readonly tests: Tests | "script" | null;
  } | null;
  /** Limit of each start of the tool, and of the tests. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

interface TransformReport {
  readonly tool: string;
  readonly version: string | null;
  readonly base: string;
  /** On no branch; null where nothing was changed. */
  readonly commit: string | null;
  readonly files: readonly ChangedFile[];
  readonly insertions: number;
  readonly deletions: number;
  readonly isIdempotent: boolean;
  readonly tests: { readonly command: string } | null;
  readonly leftOut: readonly { readonly path: string; readonly reason: string }[];
  readonly diff: string;
}

type Outcome = Result<TransformReport>;

/** Works in a worktree of its own, which is removed whatever happens. */
export async function runTransform(deps: WorkDeps, request: TransformRequest): Promise<Outcome> {
  const keepsObjects = request.offer !== null;
  const worktree = await createThrowaway(deps, request.source, { keepsObjects, hasLinks: false });
  try {
    const outcome = await transform(deps, request, worktree);
    return request.signal.aborted ? fail("stopped", "the transform was stopped.") : outcome;
  } finally {
    await worktree.remove();
  }
}

async function transform(deps: WorkDeps, request: TransformRequest, worktree: ThrowawayWorktree): Promise<Outcome> {
  const git = withoutLinks(worktree.git(request.signal));
  const prepared = prepareTool(request, worktree);
  if (!prepared.ok) return prepared;
  const ready = prepared.value;
  await linkModulesInside(git, { top: request.source.top, tree: worktree.tree });
  const apply = (): ReturnType<typeof applyTool> => applyTool(deps, request, worktree, ready);
  const applied = await apply();
  if (!applied.ok) return applied;
  const { base } = request.source;
  const message = `shim: ${ready.subject}`;
  const { commit, leftOut } = await commitAll(git, { tree: worktree.tree, message, now: deps.now() });
  const { files, diff } = await readDiff(git, base, commit);
  const report: TransformReport = {
    tool: ready.transformer.name,
    version: ready.tool.version,
    base,
    commit: files.length === 0 ? null : commit,
    files,
    insertions: files.reduce((total, { added }) => total + (added ?? 0), 0),
    deletions: files.reduce((total, { removed }) => total + (removed ?? 0), 0),
    isIdempotent: true,
    tests: null,
    leftOut,
    diff,
  };
  if (files.length === 0) return ok(report);
  const { offer } = request;
  // Applied again.
  const repeated = await apply();
  if (!repeated.ok) return repeated;
  const { changes } = await changesSince(git);
  const skipped = new Set(leftOut.map(({ path }) => path));
  const changed = changes.map(({ path }) => displayPath(path)).filter((path) => !skipped.has(path));
  if (!offer) return ok({ ...report, isIdempotent: changed.length === 0 });
  if (changed.length > 0) return fail("not_idempotent", `a second run changes ${firstOf(changed, maxNamed)} again.`);
  await resetTo(worktree.git(request.signal), commit);
  const tests = await testCommit(deps, request, worktree, { project: ready.project, tests: offer.tests });
  return tests.ok ? ok({ ...report, tests: tests.value }) : tests;
}

const maxNamed = 5;

/** Tests are code of the project. @returns null: none were to run */
async function testCommit(
  { env }: WorkDeps,
  { timeoutMs: timeMs, signal }: TransformRequest,
  { tree }: ThrowawayWorktree,
  { project, tests }: { readonly project: string; readonly tests: Tests | "script" | null },
): Promise<Result<{ readonly command: string } | null>> {
  if (tests === null) return ok(null);
  const folder = join(tree, project);
  const command = tests === "script" ? testScript(folder) : tests;
  if (command === null) return fail("no_tests", `there is no script for tests in ${join(project, "package.json")}.`);
  const passed = await runTests(command, { folder, env, timeMs, signal });
  if (passed.ok) return ok({ command: command.join(" ") });
  // The output of the tests ends with a line of its own.
  return fail("tests_failed", passed.error.endsWith("\n") ? passed.error : `${passed.error}. `);
}

interface ReadyTool {
  readonly transformer: Transformer;
  readonly tool: InstalledTool;
  readonly view: ProjectView;
  /** Folder of the nearest package.json, relative to the top. */
  readonly project: string;
  /** Subject of the commit. */
  readonly subject: string;
}

/** Finds the tool, which is installed. */
function prepareTool(
  { source: { top }, paths, change }: TransformRequest,
  { tree }: ThrowawayWorktree,
): Result<ReadyTool> {
  const missing = paths.find((path) => !existsSync(join(tree, path)));
  if (missing !== undefined) return fail("bad_input", `${missing} is not in the commit that the worktree starts from.`);
  const project = findProject(tree, paths);
  // Settings are those of the commit, tools are where they are installed.
  const installed = openProject(join(top, project));
  const view = openCopy(installed, join(tree, project));
  const reasons: string[] = [];
  for (const transformer of transformersFor(change)) {
    const detection = transformer.detect(view);
    if (detection?.kind !== "ready") {
      reasons.push(detection?.why ?? `${transformer.name} is not used here`);
      continue;
    }
    const { tool } = detection;
    return ok({ transformer, tool, view, project, subject: subjectOf(change, transformer) });
  }
  return fail("no_tool", `${reasons.join("; ")}.`);
}

const maxNamedRules = 3;

function subjectOf(change: Change, { name }: Transformer): string {
  if (change.kind === "fixes") return `fixes of ${name}`;
  const ids = [...change.text.matchAll(/^id: *([\w-]{1,60})/gm)].map(([, id]) => id);
  return `${ids.slice(0, maxNamedRules).join(", ") || "rules"}, by ${name}`;
}

/** The nearest folder with a package.json above all paths, else the top. */
function findProject(tree: string, paths: readonly string[]): string {
  const folders = paths.map((path) => (lstatSync(join(tree, path)).isDirectory() ? path : posix.dirname(path)));
  let [folder = "."] = folders.map((one) => posix.normalize(one));
  const isAboveAll = (): boolean => folders.every((one) => `${posix.normalize(one)}/`.startsWith(`${folder}/`));
  while (folder !== "." && !(isAboveAll() && existsSync(join(tree, folder, "package.json")))) folder = dirname(folder);
  return folder;
}

async function applyTool(
  { env }: WorkDeps,
  { paths, timeoutMs, signal }: TransformRequest,
  { folder }: ThrowawayWorktree,
  { transformer, tool, view, project }: ReadyTool,
): Promise<Result<null>> {
  const scratch = join(folder, "scratch");
  mkdirSync(scratch, { recursive: true });
  const relativePaths = paths.map((path) => `./${posix.relative(project, path)}`);
  const args = transformer.args({
    paths: relativePaths.length === 0 ? ["."] : relativePaths,
    writeScratch: (name, text) => {
      writeFileSync(join(scratch, name), text);
      return join(scratch, name);
    },
  });
  const options = { folder: view.root, scratch, env, timeMs: timeoutMs, signal };
  const output = await runTool({ ...options, tool, command: { args } });
  if (!output.ok) return fail("tool_failed", `${transformer.name} ${output.error}.`);
  const { code } = output.value;
  if (code > 1)
    return fail("tool_failed", `${transformer.name} ended with exit code ${code}: ${lastWords(output.value)}`);
  return ok(null);
}

const maxWords = 600;

function lastWords({ stdout, stderr }: ToolOutput): string {
  const text = stderr.trim() || stdout.trim() || "it printed nothing";
  return text.length > maxWords ? `...${text.slice(-maxWords)}` : text;
}

function isFix(what: string): what is FixName {
  return (fixNames as readonly string[]).includes(what);
}

/** Printed as JSON: fields are only added. */
export interface Transformed extends TransformReport {
  /** None was asked for, or nothing was changed: null, and there is no commit either. */
  readonly branch: string | null;
  /** Paths of the tree with changes that are not committed. */
  readonly uncommitted: number;
}

/** Shows what a transform would change; with `branch` leaves it on one. */
export async function transformProject(
  context: OperationContext,
  { what, paths, branch: isBranch, tests: words, trust, timeLimitMs }: TransformInput,
  { cwd, signal }: { readonly cwd: string; readonly signal: AbortSignal },
): Promise<Result<Transformed>> {
  const tests = words === undefined ? ok("script" as const) : words === false ? ok(null) : parseTests(words);
  if (!tests.ok) return tests;
  const target = await findTarget(context.site.env, cwd, paths);
  if (!target.ok) return target;
  const { git, uncommitted, ...source } = target.value;
  const trusted = requireTrust(context.paths.config, source.top, trust);
  if (!trusted.ok) return trusted;
  const change = isFix(what) ? ok({ kind: "fixes", name: what } as const) : readChange(resolve(cwd, what));
  if (!change.ok) return change;
  const deps = await workDeps(context);
  if (!deps.ok) return deps;
  const request = {
    source,
    change: change.value,
    paths: source.paths,
    timeoutMs: timeLimitMs ?? defaultTimeMs,
    signal,
  };
  const offer = isBranch ? { tests: tests.value } : null;
  const report = await runTransform(deps.value, { ...request, offer });
  if (!report.ok) return report;
  const { commit, tool } = report.value;
  if (!isBranch || commit === null) return ok({ ...report.value, commit: null, branch: null, uncommitted });
  const branch = `shim/transform-${tool}-${commit.slice(0, 12)}`;
  if (!(await createBranch(git, branch, commit)))
    return fail("branch_exists", `there is a branch ${branch} with another commit than ${commit}.`);
  return ok({ ...report.value, branch, uncommitted });
}
