import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { withoutSecrets } from "../platform/secret-env.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { objectAt, parseObject, textAt } from "../shared/json-fields.ts";
import { ok, type Result } from "../shared/result.ts";
import { displayPath, GitError } from "../snapshots/git.ts";
import { changesSince } from "../snapshots/work-tree.ts";
import { readDiff, type ChangedFile, commitAll } from "../worker-runner/work-git.ts";
import { runProgram } from "../worker-runner/run-program.ts";
import type { WorkDeps } from "../worker-runner/worktrees.ts";
import {
  prepareTool,
  type PreparedTool,
  type Tests,
  type TransformReport,
  type TransformRequest,
} from "./tool-process.ts";
import { createThrowaway, linkModulesInside, resetTo, type ThrowawayWorktree } from "./worktree.ts";

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
  const { changes } = await changesSince(git, "HEAD");
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
