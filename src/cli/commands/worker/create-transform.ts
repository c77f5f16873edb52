import { resolve } from "node:path";
import type { ProcessIdentity } from "../../../platform/processes.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import type { Result } from "../../../shared/result.ts";
import { isTrusted } from "../../../tool-runner/project-folder.ts";
import type { TransformFailure } from "../../../transform/failure.ts";
import type { Release } from "../../../transform/request.ts";
import { transformExecutor } from "../../../transform/transform-executor.ts";
import type { Executor } from "../../../worker-runner/executor.ts";
import { commonGitFolder, gitInFolder, worktreeTop } from "../../../worker-runner/work-git.ts";
import { worktreesIn } from "../../../worker-runner/work-record.ts";
import type { TypeConfig } from "./worker-config.ts";

export interface TransformSetupDeps {
  readonly runtime: Runtime;
  readonly ownProcess: ProcessIdentity;
  readonly random: () => number;
  /** [TX10] Reserves files of the work tree with this top. */
  readonly reserveFiles: (
    top: string,
    paths: readonly string[],
    files: readonly string[],
  ) => Promise<Result<Release, TransformFailure>>;
}

/** [TX13] @returns null: code would have to run, and nothing says that it may */
export async function createTransform(
  deps: TransformSetupDeps,
  config: TypeConfig,
  from: string,
): Promise<Executor | null> {
  const { runtime, ownProcess, random, reserveFiles } = deps;
  const { repository = ".", transform } = config;
  if (!transform) throw new Error("a type without a way to do it has passed the check");
  const { env, now, processes, paths } = runtime;
  const { trust, tests, timeLimitMs } = transform;
  const top = await worktreeTop(env, resolve(from, repository));
  const isCodeTrusted = trust || isTrusted(top, runtime.config.analysis.trusted);
  if (!isCodeTrusted && tests !== false) return null;
  return transformExecutor(
    { env, now, processes, random, self: ownProcess, home: worktreesIn(paths.home) },
    {
      top,
      repository: await commonGitFolder(gitInFolder(env, top), top),
      isTrusted: isCodeTrusted,
      tests: tests === false ? "none" : (tests ?? "script"),
      timeoutMs: timeLimitMs,
      reserve: (transformPaths, files) => reserveFiles(top, transformPaths, files),
    },
  );
}
