import { existsSync } from "node:fs";
import { join } from "node:path";
import type { EvolvedProject } from "../../../evolution/measure.ts";
import { RunFiles } from "../../../evolution/run-files.ts";
import { ok } from "../../../shared/result.ts";
import { wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import { findTarget } from "../transform/run-transform.ts";

export interface FoundProject {
  readonly project: EvolvedProject;
  readonly folder: string;
  /** Commit that changes start from. */
  readonly base: string;
  readonly uncommitted: number;
  readonly files: RunFiles;
}

/** The package in a folder of a repository. */
export async function findProject(cli: Cli, folder: string): Promise<CliResult<FoundProject>> {
  const target = await findTarget(cli, [folder]);
  if (!target.ok) return target;
  const { top, repository, base, paths, uncommitted } = target.value;
  const project = { top, repository, prefix: paths[0] ?? "" };
  const path = join(top, project.prefix);
  if (!existsSync(join(path, "package.json"))) return wrongUsage(`there is no package.json in ${path}.`);
  return ok({ project, folder: path, base, uncommitted, files: new RunFiles(cli.paths.home, project) });
}
