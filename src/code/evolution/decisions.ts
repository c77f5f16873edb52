import { createHash } from "node:crypto";
import { join } from "node:path";
import { decisionsFile, evolveFolder, readDecisions, type Decision } from "../../platform/evolve-decisions.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import type { RepositoryProject } from "../transform/worktree.ts";

const maxDecisions = 5_000;

/** Decisions of people and of the judge on changes of one project, on this machine. */
export class Decisions {
  readonly #folder: string;

  /** @param home SHIM's folder */
  constructor(home: string, project: RepositoryProject) {
    this.#folder = join(evolveFolder(home), projectId(project));
  }

  all(): Decision[] {
    return readDecisions(this.#folder);
  }

  add(decision: Decision): void {
    const decisions = [...this.all(), decision].slice(-maxDecisions);
    createPrivateFolder(this.#folder);
    writeAtomically(join(this.#folder, decisionsFile), JSON.stringify({ version: 1, decisions }));
  }
}

function projectId({ repository, prefix }: RepositoryProject): string {
  return createHash("sha256")
    .update(JSON.stringify([repository, prefix]))
    .digest("hex")
    .slice(0, 12);
}

/** Tag of all tasks of runs in a project, and the type of those that a command does itself. */
export function runTag(project: RepositoryProject): string {
  return `evolve.${projectId(project)}`;
}
