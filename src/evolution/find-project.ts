import { existsSync } from "node:fs";
import { join } from "node:path";
import type { HostContext } from "../local-mcp/host/handlers.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { ok, type Result } from "../shared/result.ts";
import { findTarget } from "../worker-runner/work-git.ts";
import type { RepositoryProject } from "../transform/in-commit.ts";
import { RunFiles } from "./run-files.ts";

export interface FoundProject {
  readonly project: RepositoryProject;
  readonly folder: string;
  /** Commit that changes start from. */
  readonly base: string;
  readonly uncommitted: number;
  readonly files: RunFiles;
}

/** The package in a folder of a repository. */
export async function findProject(
  { site, paths }: HostContext,
  folder: string,
): Promise<Result<FoundProject, Failure>> {
  const target = await findTarget(site.env, folder, []);
  if (!target.ok) return target;
  const {
    top,
    repository,
    base,
    paths: [prefix = ""],
    uncommitted,
  } = target.value;
  const project = { top, repository, prefix };
  const path = join(top, prefix);
  if (!existsSync(join(path, "package.json"))) return fail("bad_input", `there is no package.json in ${path}.`);
  return ok({ project, folder: path, base, uncommitted, files: new RunFiles(paths.home, project) });
}
