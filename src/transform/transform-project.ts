import { resolve } from "node:path";
import type { HostContext } from "../local-mcp/host/host.ts";
import { withWorkspace } from "../local-mcp/host/workspace.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { ok, type Result } from "../shared/result.ts";
import { trustOf } from "../tool-runner/project-folder.ts";
import { isCreated, findTarget } from "../worker-runner/work-git.ts";
import { workDeps } from "../worker-runner/worktrees.ts";
import { parseLintFix, readChange, type TransformInput } from "./change.ts";
import { reserveFiles } from "./reserve-files.ts";
import { defaultTimeMs, runTransform } from "./run-transform.ts";
import type { Tests, TransformReport } from "./tool-process.ts";

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
