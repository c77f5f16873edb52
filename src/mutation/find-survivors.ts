import { existsSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import * as z from "zod";
import type { HostContext } from "../local-mcp/host/host.ts";
import { Duration, File } from "../contract/machine/forms.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { ok, type Result } from "../shared/result.ts";
import { trustOf } from "../tool-runner/project-folder.ts";
import { inCommit } from "../transform/worktree.ts";
import { workDeps } from "../worker-runner/worktrees.ts";
import { findTarget, type WorkTarget } from "../worker-runner/work-git.ts";
import { parseReport, runStryker, type FileMutants } from "./stryker.ts";

export const MutantsInput = z.strictObject({
  files: z.array(z.string()).min(1),
  timeLimitMs: Duration.min(1_000).max(43_200_000).optional().describe("for all of it (default: 30m)"),
  trust: z.boolean().default(false).describe("run the project's tests, this time"),
  report: File.optional().describe("read a JSON report of Stryker instead, and run nothing"),
});
export type MutantsInput = z.infer<typeof MutantsInput>;

const defaultTimeMs = 1_800_000;

/** Printed as JSON: fields are only added. */
export interface MutantsReport {
  readonly version: 1;
  readonly folder: string;
  /** Commit that was tried; null: the results are those of a report. */
  readonly commit: string | null;
  readonly files: readonly FileMutants[];
  readonly uncommitted: number;
}

/** [MU31] */
export async function findSurvivors(
  context: HostContext,
  { files: given, report, trust, timeLimitMs: timeMs = defaultTimeMs }: MutantsInput,
  { cwd, signal }: { readonly cwd: string; readonly signal: AbortSignal },
): Promise<Result<MutantsReport, Failure>> {
  const target = await findTarget(context.site.env, cwd, given);
  if (!target.ok) return target;
  const { top, repository, base: commit, uncommitted } = target.value;
  const found = findPackage(target.value);
  if (!found.ok) return found;
  const { prefix, files } = found.value;
  const folder = join(top, prefix);
  if (report !== undefined) {
    if (!existsSync(report)) return fail("bad_input", `there is no report ${report}.`);
    const parsed = parseReport(readFileSync(report, "utf8"), files);
    if (!parsed.ok) return fail("bad_input", `${report}: ${parsed.error}.`);
    return ok({ version: 1, folder, commit: null, files: parsed.value, uncommitted: 0 });
  }
  const trusted = trustOf(context.paths.config, top, trust);
  if (!trusted.ok) return trusted;
  if (!trusted.value)
    return fail(
      "not_trusted",
      "tests run the project's code. --trust allows that this time, and the setting analysis.trusted always.",
    );
  const deps = await workDeps(context);
  if (!deps.ok) return deps;
  context.progress?.(`Stryker tries mutants of ${files.join(", ")} at ${commit.slice(0, 12)} ...`);
  return inCommit(deps.value, { top, repository, prefix }, { commit, signal }, async (copy, { folder: own }) => {
    const missing = files.find((file) => !existsSync(join(copy, file)));
    if (missing !== undefined) return fail("not_judged", `${missing} is not in the last commit.`);
    const { env } = context.site;
    const tried = await runStryker({ folder: copy, scratch: join(own, "scratch"), files, env, timeMs, signal });
    if (signal.aborted) return fail("stopped", "it was stopped.");
    if (!tried.ok) return fail("not_judged", `${tried.error}.`);
    return ok({ version: 1, folder, commit, files: tried.value, uncommitted });
  });
}

const sourceExtension = /\.[cm]?[jt]sx?$/;

/** The package that all of the files are in. */
function findPackage({
  top,
  paths,
}: WorkTarget): Result<{ readonly prefix: string; readonly files: readonly string[] }, Failure> {
  const bad = paths.find((path) => !sourceExtension.test(path));
  if (bad !== undefined || paths.length === 0)
    return fail("bad_input", `${bad ?? top} is no file of JavaScript or TypeScript.`);
  const prefixes = [...new Set(paths.map((path) => packageOf(top, path)))];
  const [prefix = null] = prefixes;
  if (prefix === null) return fail("bad_input", `there is no package.json above ${paths[0]} in ${top}.`);
  if (prefixes.length > 1) return fail("bad_input", "the files are of several packages: name those of one.");
  return ok({ prefix, files: [...new Set(paths.map((path) => posix.relative(prefix, path)))] });
}

function packageOf(top: string, path: string): string | null {
  for (let folder = posix.dirname(path); ; folder = posix.dirname(folder)) {
    if (existsSync(join(top, folder, "package.json"))) return folder === "." ? "" : folder;
    if (folder === ".") return null;
  }
}
